/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must survive: the samples that were kept, the journal of analysts' verdicts, the
 * jobs and versions that came of them. A store is a table of operations, so that another
 * database can stand behind them; sqlite.h opens the one there is.
 *
 * The journal is append-only: a verdict supersedes the same analyst's earlier one on that
 * sample, a withdrawal takes one back, and nothing is ever changed or removed. Entries of
 * both kinds share one sequence number. A label is in force when it is neither superseded
 * nor withdrawn. A sample whose labels in force name both normal and anomalous is in
 * conflict. A label in quarantine is in force, but waits for another analyst's verdict
 * before anything is trained on it (learn/gate.h).
 *
 * Writing operations return when the change is durable (committed and fsynced); several
 * callers' changes share a commit. All operations may be called from any thread; those
 * that read see everything that was acknowledged before. Errors: DEEPSAD_IO where the
 * database cannot be written or read now (disk full, broken, locked): the caller tries
 * later and nothing is half done; DEEPSAD_NOT_FOUND, DEEPSAD_INVALID where the request is
 * wrong, with the message fit for the client.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum {
    STORE_ID_MAX = 64,    /* of samples, labels, jobs; without NUL */
    STORE_MODEL_MAX = 64, /* names of models */
    STORE_KEY_MAX = 255,  /* Idempotency-Key */
    STORE_DIGEST_SIZE = 32,
    STORE_STATE_MAX = 16,
};

enum store_verdict { STORE_ANOMALOUS = -1, STORE_UNSURE = 0, STORE_NORMAL = 1 };

/* ---- Samples ----------------------------------------------------------------------- */

struct store_sample {
    int64_t seq; /* rises with arrival */
    char id[STORE_ID_MAX + 1];
    int64_t scored_at_ms;
    unsigned version; /* that scored it */
    float score, p_value;
};

/* Plain value; x (count, features). */
struct store_samples {
    size_t count, features;
    struct store_sample *samples;
    float *x;
};
void store_samples_done(struct store_samples *samples);

/* Samples to be kept: all of one request. The store copies them before it returns. */
struct store_keep {
    const char *model;
    unsigned version;
    int64_t scored_at_ms;
    size_t count, features;
    const char *const *ids;         /* (count) NUL-terminated */
    const float *x;                 /* (count, features), NaN = missing */
    const float *scores, *p_values; /* (count) */
};

/* Which samples store_samples() lists. */
enum store_select {
    STORE_UNLABELED, /* kept at scoring, with no label in force, not even unsure; what
                        came with a verdict is no traffic, also once that is withdrawn */
    STORE_ALL,
};

/* ---- Labels ------------------------------------------------------------------------ */

/* One verdict to be written. Either sample_id names a kept sample, or x brings its
 * features, and sample_new is the id the new sample gets. Texts may be NULL. */
struct store_verdict_new {
    const char *label_id; /* of the new label: unique */
    const char *sample_id;
    const char *sample_new;
    const float *x; /* (features) */
    float score, p_value;
    enum store_verdict verdict;
    const char *analyst, *reason, *note;
};

struct store_labels_new {
    const char *model;
    size_t features;
    unsigned version; /* that scored what x brings */
    int64_t created_at_ms;
    const char *idempotency_key;             /* NULL = none */
    unsigned char digest[STORE_DIGEST_SIZE]; /* of the request's body, with the key */
    size_t count;
    const struct store_verdict_new *verdicts;
};

struct store_label {
    int64_t seq; /* in the journal */
    char id[STORE_ID_MAX + 1];
    char sample_id[STORE_ID_MAX + 1];
    enum store_verdict verdict;
    char *analyst, *reason, *note;     /* NULL = none */
    char supersedes[STORE_ID_MAX + 1]; /* label id, "" = none */
    int64_t created_at_ms;
    int64_t withdrawn_at_ms; /* 0 = not withdrawn */
    /* How many labels of the same verdict this model had before, in force or not: the
     * label's fold depends on it for ever. */
    uint32_t ordinal;
    bool in_force;
    bool conflict;    /* its sample is in conflict */
    char *quarantine; /* why it waits; NULL = it does not */
};

/* Plain value. */
struct store_labels {
    size_t count, features;
    struct store_label *labels;
    float *x;  /* (count, features) of the labels' samples, or NULL where not asked for */
    bool more; /* the list was cut at the limit */
};
void store_label_done(struct store_label *label); /* one that stands alone */
void store_labels_done(struct store_labels *labels);

struct store_label_filter {
    const char *analyst;   /* NULL = any */
    const char *sample_id; /* NULL = any */
    const char *label_id;  /* NULL = any */
    bool has_verdict;
    enum store_verdict verdict;
    bool in_force;  /* only those */
    int64_t before; /* seq below this; 0 = from the newest */
    size_t limit;   /* 0 = no limit */
};

struct store_counts { /* of labels in force */
    size_t normal, anomalous, unsure;
    size_t conflicts;   /* samples */
    size_t quarantined; /* labels */
    size_t samples;     /* kept */
    int64_t last_seq;   /* newest entry of the model's journal, 0 = none */
};

/* ---- Jobs and versions ------------------------------------------------------------- */

struct store_job {
    char id[STORE_ID_MAX + 1];
    char model[STORE_MODEL_MAX + 1];
    char state[STORE_STATE_MAX]; /* queued, running, promoted, rejected, failed, cancelled
                                  */
    int64_t created_at_ms, started_at_ms, finished_at_ms; /* 0 = not yet */
    int64_t journal_seq; /* journal entries up to here were looked at */
    unsigned version;    /* that came of it, 0 = none */
    char *detail;        /* JSON object: trigger, measures, gate; never NULL when read */
};
void store_job_done(struct store_job *job);

struct store_jobs {
    size_t count;
    struct store_job *jobs;
    bool more;
};
void store_jobs_done(struct store_jobs *jobs);

struct store_version {
    char model[STORE_MODEL_MAX + 1];
    unsigned number, parent; /* 0 = none */
    char job[STORE_ID_MAX + 1];
    int64_t created_at_ms;
    char *detail; /* JSON object: decision, reason, measures */
};

/* ---- The store --------------------------------------------------------------------- */

/* May be changed while it runs. */
struct store_retention {
    size_t samples;         /* of a model, at most; those with a label are not counted and
                               never dropped; 0 = no limit */
    double samples_age;     /* seconds; 0 = no limit */
    double idempotency_age; /* seconds; 0 = no limit */
    size_t jobs;            /* ended ones, the newest of all models; 0 = all */
};

struct store_statistics {
    uint64_t samples_kept, samples_dropped; /* dropped: the queue was full, or writing
                                               failed */
    uint64_t commits, entries; /* entries: operations that those commits held */
    size_t queued;             /* operations waiting */
    bool healthy;
};

struct store;

struct store_ops {
    void (*close)(struct store *store);
    bool (*keep)(struct store *store, const struct store_keep *rows);
    int (*labels_add)(struct store *store, struct store_labels *out, bool *replayed,
                      const struct store_labels_new *labels, size_t *wrong,
                      struct deepsad_error *error);
    int (*label_withdraw)(struct store *store, struct store_label *out, const char *model,
                          const char *label_id, const char *analyst, int64_t now_ms,
                          struct deepsad_error *error);
    int (*labels_withdraw_by)(struct store *store, size_t *count, const char *model,
                              const char *analyst, int64_t now_ms,
                              struct deepsad_error *error);
    int (*labels_list)(struct store *store, struct store_labels *out, const char *model,
                       const struct store_label_filter *filter,
                       struct deepsad_error *error);
    int (*labels_in_force)(struct store *store, struct store_labels *out,
                           const char *model, size_t features,
                           struct deepsad_error *error);
    int (*sample_get)(struct store *store, struct store_samples *out, const char *model,
                      const char *id, struct deepsad_error *error);
    int (*samples_list)(struct store *store, struct store_samples *out, const char *model,
                        size_t features, enum store_select select, size_t limit,
                        struct deepsad_error *error);
    int (*counts)(struct store *store, struct store_counts *out, const char *model,
                  struct deepsad_error *error);
    int (*changes)(struct store *store, size_t *count, const char *model, int64_t after,
                   struct deepsad_error *error);
    int (*quarantine)(struct store *store, const char *model,
                      const char *const *label_ids, size_t count, const char *job,
                      const char *reason, struct deepsad_error *error);
    int (*job_put)(struct store *store, const struct store_job *job,
                   struct deepsad_error *error);
    int (*job_get)(struct store *store, struct store_job *out, const char *id,
                   struct deepsad_error *error);
    int (*jobs_list)(struct store *store, struct store_jobs *out, const char *model,
                     const char *state, const char *before, size_t limit,
                     struct deepsad_error *error);
    int (*version_put)(struct store *store, const struct store_version *version,
                       struct deepsad_error *error);
    int (*version_get)(struct store *store, struct store_version *out, const char *model,
                       unsigned number, struct deepsad_error *error);
    int (*health)(struct store *store, struct deepsad_error *error);
    void (*statistics)(struct store *store, struct store_statistics *out);
    void (*set_retention)(struct store *store, const struct store_retention *retention);
};

/* The first member of every kind's own struct. */
struct store {
    const struct store_ops *ops;
};

/* Writes what is queued, then closes. Accepts NULL. No operation may be under way. */
static inline void store_close(struct store *store)
{
    if (store != NULL) {
        store->ops->close(store);
    }
}

/* Never waits and never fails the caller: false where the bounded queue is full, and the
 * rows are dropped and counted. A later sample of the same id replaces the earlier one,
 * unless that has labels: then the earlier one stays. */
static inline bool store_keep(struct store *store, const struct store_keep *rows)
{
    return store->ops->keep(store, rows);
}

/* All or none. *out: the new labels in the order of `labels`; *replayed: the
 * idempotency key has been seen with the same digest, and *out is what was answered then.
 * DEEPSAD_INVALID: the key came with another digest (*wrong = SIZE_MAX), or verdict
 * number *wrong is wrong; DEEPSAD_NOT_FOUND: its sample was not kept. */
static inline int store_labels_add(struct store *store, struct store_labels *out,
                                   bool *replayed, const struct store_labels_new *labels,
                                   size_t *wrong, struct deepsad_error *error)
{
    return store->ops->labels_add(store, out, replayed, labels, wrong, error);
}

/* `analyst`: who withdraws, for the record; NULL = unknown. Withdrawing again is no
 * error. *out: the label as it is then. */
static inline int store_label_withdraw(struct store *store, struct store_label *out,
                                       const char *model, const char *label_id,
                                       const char *analyst, int64_t now_ms,
                                       struct deepsad_error *error)
{
    return store->ops->label_withdraw(store, out, model, label_id, analyst, now_ms,
                                      error);
}

/* All labels in force of that analyst, NULL = those without one; *count: how many. */
static inline int store_labels_withdraw_by(struct store *store, size_t *count,
                                           const char *model, const char *analyst,
                                           int64_t now_ms, struct deepsad_error *error)
{
    return store->ops->labels_withdraw_by(store, count, model, analyst, now_ms, error);
}

/* Newest first; x is NULL. */
static inline int store_labels_list(struct store *store, struct store_labels *out,
                                    const char *model,
                                    const struct store_label_filter *filter,
                                    struct deepsad_error *error)
{
    return store->ops->labels_list(store, out, model, filter, error);
}

/* Every label in force whose sample has so many features, in the order of the journal,
 * with x: in one consistent view what may be trained on, what is in conflict and what
 * waits in quarantine. */
static inline int store_labels_in_force(struct store *store, struct store_labels *out,
                                        const char *model, size_t features,
                                        struct deepsad_error *error)
{
    return store->ops->labels_in_force(store, out, model, features, error);
}

/* *out: that one; DEEPSAD_NOT_FOUND where it is not kept. Waits for what is queued if
 * need be. */
static inline int store_sample_get(struct store *store, struct store_samples *out,
                                   const char *model, const char *id,
                                   struct deepsad_error *error)
{
    return store->ops->sample_get(store, out, model, id, error);
}

/* The newest `limit` that have so many features, newest first. Waits for what is queued.
 */
static inline int store_samples_list(struct store *store, struct store_samples *out,
                                     const char *model, size_t features,
                                     enum store_select select, size_t limit,
                                     struct deepsad_error *error)
{
    return store->ops->samples_list(store, out, model, features, select, limit, error);
}

static inline int store_counts(struct store *store, struct store_counts *out,
                               const char *model, struct deepsad_error *error)
{
    return store->ops->counts(store, out, model, error);
}

/* How many entries of the journal after `after` may change a training: verdicts that are
 * not unsure, or supersede one that was not, and withdrawals. */
static inline int store_changes(struct store *store, size_t *count, const char *model,
                                int64_t after, struct deepsad_error *error)
{
    return store->ops->changes(store, count, model, after, error);
}

/* Until a later verdict by another analyst on the same sample, or a withdrawal. */
static inline int store_quarantine(struct store *store, const char *model,
                                   const char *const *label_ids, size_t count,
                                   const char *job, const char *reason,
                                   struct deepsad_error *error)
{
    return store->ops->quarantine(store, model, label_ids, count, job, reason, error);
}

/* Inserts or replaces by id. */
static inline int store_job_put(struct store *store, const struct store_job *job,
                                struct deepsad_error *error)
{
    return store->ops->job_put(store, job, error);
}
static inline int store_job_get(struct store *store, struct store_job *out,
                                const char *id, struct deepsad_error *error)
{
    return store->ops->job_get(store, out, id, error);
}
/* Newest first (ids rise with time). model, state: NULL = any; before: ids below this,
 * NULL = from the newest. */
static inline int store_jobs_list(struct store *store, struct store_jobs *out,
                                  const char *model, const char *state,
                                  const char *before, size_t limit,
                                  struct deepsad_error *error)
{
    return store->ops->jobs_list(store, out, model, state, before, limit, error);
}

/* Inserts or replaces by model and number. */
static inline int store_version_put(struct store *store,
                                    const struct store_version *version,
                                    struct deepsad_error *error)
{
    return store->ops->version_put(store, version, error);
}
/* free() out->detail. */
static inline int store_version_get(struct store *store, struct store_version *out,
                                    const char *model, unsigned number,
                                    struct deepsad_error *error)
{
    return store->ops->version_get(store, out, model, number, error);
}

/* DEEPSAD_OK, or why it cannot write now. */
static inline int store_health(struct store *store, struct deepsad_error *error)
{
    return store->ops->health(store, error);
}
static inline void store_statistics(struct store *store, struct store_statistics *out)
{
    store->ops->statistics(store, out);
}
static inline void store_set_retention(struct store *store,
                                       const struct store_retention *retention)
{
    store->ops->set_retention(store, retention);
}

#endif
