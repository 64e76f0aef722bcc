/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An entry goes into the journal, and what follows from it into the tables beside it, in
 * one transaction: the label of that analyst on that sample that is in force, the
 * sample's counts and conflict, the end of a quarantine.
 */
#include "store/sqlite_labels.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/sqlite_label_rows.h"

/* ---- The samples of labels --------------------------------------------------------- */

static int find_sample(struct sqlite_db *db, const char *model, const char *id,
                       int64_t *sample, struct deepsad_error *error)
{
    int status = sqlite_get(db, error, sample,
                            "SELECT seq FROM sample WHERE model = ?1 AND id = ?2",
                            SQL_TEXT(model), SQL_TEXT(id));
    if (status == DEEPSAD_OK && *sample == 0) {
        return error_set(error, DEEPSAD_NOT_FOUND,
                         "sample \"%s\" was not kept for model %s: score it with "
                         "\"keep\": true, or give its features",
                         id, model);
    }
    return status;
}

static int make_sample(struct sqlite_db *db, const struct store_labels_new *labels,
                       const struct store_verdict_new *verdict, int64_t *sample,
                       struct deepsad_error *error)
{
    int status = sqlite_run(
        db, error,
        "INSERT INTO sample (model, id, scored_at_ms, version, score, p_value, features, "
        "x, brought)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1) ON CONFLICT (model, id) DO NOTHING",
        SQL_TEXT(labels->model), SQL_TEXT(verdict->sample_new),
        SQL_INTEGER(labels->created_at_ms), SQL_INTEGER(labels->version),
        SQL_REAL(verdict->score), SQL_REAL(verdict->p_value),
        SQL_INTEGER(labels->features),
        SQL_BLOB(verdict->x, labels->features * sizeof(float)));
    if (status == DEEPSAD_OK && sqlite3_changes(db->handle) == 0) {
        return error_set(error, DEEPSAD_INVALID, "sample \"%s\" exists already",
                         verdict->sample_new);
    }
    *sample = sqlite3_last_insert_rowid(db->handle);
    return status;
}

/* Counts, after a change of what is in force for that sample. */
static int refresh_sample(struct sqlite_db *db, int64_t sample,
                          struct deepsad_error *error)
{
    return sqlite_run(db, error,
                      "UPDATE sample SET journaled = 1,"
                      " labels = (SELECT count(*) FROM in_force WHERE sample = ?1),"
                      " conflict = (SELECT count(DISTINCT verdict) FROM in_force"
                      "             WHERE sample = ?1 AND verdict <> 0) = 2"
                      " WHERE seq = ?1",
                      SQL_INTEGER(sample));
}

/* ---- Adding ------------------------------------------------------------------------ */

struct adding {
    const struct store_labels_new *labels;
    struct store_labels made;
    bool replayed;
    size_t wrong;
    int64_t first; /* seq of the first new entry */
};

static const char *name_or_null(const char *name)
{
    return name != NULL && *name != '\0' ? name : NULL;
}

static const char *name_or_empty(const char *name)
{
    return name != NULL ? name : "";
}

/* The label of that analyst on that sample that is in force; *label = 0: none. */
static int find_earlier(struct sqlite_db *db, int64_t sample, const char *analyst,
                        int64_t *label, int64_t *verdict, struct deepsad_error *error)
{
    sqlite3_stmt *statement = NULL;
    bool row = false;
    int status = sqlite_start(db, error, &statement,
                              "SELECT label, verdict FROM in_force"
                              " WHERE sample = ?1 AND analyst = ?2",
                              SQL_INTEGER(sample), SQL_TEXT(name_or_empty(analyst)));
    if (status == DEEPSAD_OK) {
        status = sqlite_step(db, error, statement, &row);
    }
    *label = status == DEEPSAD_OK && row ? sqlite3_column_int64(statement, 0) : 0;
    *verdict = status == DEEPSAD_OK && row ? sqlite3_column_int64(statement, 1) : 0;
    sqlite_end(statement);
    return status;
}

static int write_entry(struct sqlite_db *db, const struct store_labels_new *labels,
                       const struct store_verdict_new *verdict, int64_t sample,
                       int64_t *entry, struct deepsad_error *error)
{
    int64_t earlier = 0, earlier_verdict = 0;
    int status =
        find_earlier(db, sample, verdict->analyst, &earlier, &earlier_verdict, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    struct sqlite_value target = SQL_INTEGER(earlier);
    if (earlier == 0) {
        target = (struct sqlite_value)SQL_TEXT(NULL);
    }
    status = sqlite_run(
        db, error,
        "INSERT INTO journal (model, kind, label_id, sample, target, verdict, ordinal,"
        " analyst, reason, note, created_at_ms, changes) VALUES (?1, 0, ?2, ?3, ?4, ?5,"
        " (SELECT coalesce(max(ordinal) + 1, 0) FROM journal"
        "   WHERE kind = 0 AND model = ?1 AND verdict = ?5),"
        " ?6, ?7, ?8, ?9, ?10) ON CONFLICT (model, label_id) WHERE kind = 0 DO NOTHING",
        SQL_TEXT(labels->model), SQL_TEXT(verdict->label_id), SQL_INTEGER(sample), target,
        SQL_INTEGER(verdict->verdict), SQL_TEXT(name_or_null(verdict->analyst)),
        SQL_TEXT(verdict->reason), SQL_TEXT(verdict->note),
        SQL_INTEGER(labels->created_at_ms),
        SQL_INTEGER(verdict->verdict != STORE_UNSURE || earlier_verdict != 0));
    if (status == DEEPSAD_OK && sqlite3_changes(db->handle) == 0) {
        return error_set(error, DEEPSAD_INVALID, "label \"%s\" exists already",
                         verdict->label_id);
    }
    *entry = sqlite3_last_insert_rowid(db->handle);
    return status;
}

/* Every label of the sample leaves quarantine: another analyst has spoken, or the same
 * one has superseded it. */
static int put_in_force(struct sqlite_db *db, const char *model,
                        const struct store_verdict_new *verdict, int64_t sample,
                        int64_t entry, struct deepsad_error *error)
{
    int status = sqlite_run(db, error,
                            "DELETE FROM quarantine WHERE label IN"
                            " (SELECT label FROM in_force WHERE sample = ?1)",
                            SQL_INTEGER(sample));
    if (status == DEEPSAD_OK) {
        status = sqlite_run(
            db, error,
            "INSERT INTO in_force (sample, analyst, label, model, verdict)"
            " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (sample, analyst) DO UPDATE"
            " SET label = excluded.label, verdict = excluded.verdict",
            SQL_INTEGER(sample), SQL_TEXT(name_or_empty(verdict->analyst)),
            SQL_INTEGER(entry), SQL_TEXT(model), SQL_INTEGER(verdict->verdict));
    }
    return status == DEEPSAD_OK ? refresh_sample(db, sample, error) : status;
}

static int check_verdict(const struct store_verdict_new *verdict,
                         struct deepsad_error *error)
{
    int status =
        sqlite_check_name(verdict->label_id, STORE_ID_MAX, "the label's id", error);
    if (status == DEEPSAD_OK && verdict->sample_id == NULL) {
        status = sqlite_check_name(verdict->sample_new, STORE_ID_MAX, "the sample's id",
                                   error);
    }
    if (status == DEEPSAD_OK && verdict->sample_id == NULL && verdict->x == NULL) {
        return error_set(error, DEEPSAD_INVALID,
                         "a label needs a sample's id or its features");
    }
    if (status == DEEPSAD_OK &&
        (verdict->verdict < STORE_ANOMALOUS || verdict->verdict > STORE_NORMAL)) {
        return error_set(error, DEEPSAD_INVALID,
                         "a verdict is anomalous, unsure or normal");
    }
    return status;
}

static int add_one(struct sqlite_db *db, const struct store_labels_new *labels,
                   const struct store_verdict_new *verdict, int64_t *entry,
                   struct deepsad_error *error)
{
    int64_t sample = 0;
    int status = check_verdict(verdict, error);
    if (status == DEEPSAD_OK) {
        status = verdict->sample_id != NULL
                     ? find_sample(db, labels->model, verdict->sample_id, &sample, error)
                     : make_sample(db, labels, verdict, &sample, error);
    }
    if (status == DEEPSAD_OK) {
        status = write_entry(db, labels, verdict, sample, entry, error);
    }
    return status == DEEPSAD_OK
               ? put_in_force(db, labels->model, verdict, sample, *entry, error)
               : status;
}

/* Entries of one transaction follow each other without a gap. */
static int add_all(struct sqlite_db *db, struct adding *adding,
                   struct deepsad_error *error)
{
    const struct store_labels_new *labels = adding->labels;
    int status = DEEPSAD_OK;
    for (size_t i = 0; status == DEEPSAD_OK && i < labels->count; i++) {
        int64_t entry = 0;
        adding->wrong = i;
        status = add_one(db, labels, &labels->verdicts[i], &entry, error);
        adding->first = i == 0 ? entry : adding->first;
    }
    return status;
}

/* ---- Idempotency keys -------------------------------------------------------------- */

/* What was answered to that key, or nothing. */
static int replay(struct sqlite_db *db, struct adding *adding,
                  struct deepsad_error *error)
{
    const struct store_labels_new *labels = adding->labels;
    sqlite3_stmt *statement = NULL;
    int64_t first = 0, count = 0;
    bool same = false;
    int status = sqlite_start(db, error, &statement,
                              "SELECT first, count, digest = ?3 FROM idempotency"
                              " WHERE model = ?1 AND key = ?2",
                              SQL_TEXT(labels->model), SQL_TEXT(labels->idempotency_key),
                              SQL_BLOB(labels->digest, sizeof labels->digest));
    if (status == DEEPSAD_OK) {
        status = sqlite_step(db, error, statement, &adding->replayed);
    }
    if (status == DEEPSAD_OK && adding->replayed) {
        first = sqlite3_column_int64(statement, 0);
        count = sqlite3_column_int64(statement, 1);
        same = sqlite3_column_int(statement, 2) != 0;
    }
    sqlite_end(statement);
    if (status != DEEPSAD_OK || !adding->replayed) {
        return status;
    }
    return same ? sqlite_read_labels(db, &adding->made, first, count, error)
                : error_set(error, DEEPSAD_INVALID,
                            "Idempotency-Key \"%s\" came with another request before; "
                            "take a new key for a new request",
                            labels->idempotency_key);
}

static int remember_key(struct sqlite_db *db, const struct adding *adding,
                        struct deepsad_error *error)
{
    const struct store_labels_new *labels = adding->labels;
    return sqlite_run(
        db, error,
        "INSERT INTO idempotency (model, key, digest, first, count, used_at_ms)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        SQL_TEXT(labels->model), SQL_TEXT(labels->idempotency_key),
        SQL_BLOB(labels->digest, sizeof labels->digest), SQL_INTEGER(adding->first),
        SQL_INTEGER(labels->count), SQL_INTEGER(clock_realtime_ms()));
}

static int add_work(struct sqlite_db *db, void *argument, struct deepsad_error *error)
{
    struct adding *adding = argument;
    const struct store_labels_new *labels = adding->labels;
    bool has_key = labels->idempotency_key != NULL;
    int status = has_key ? replay(db, adding, error) : DEEPSAD_OK;
    if (status != DEEPSAD_OK || adding->replayed) {
        return status;
    }
    status = add_all(db, adding, error);
    if (status == DEEPSAD_OK && has_key) {
        status = remember_key(db, adding, error);
    }
    return status == DEEPSAD_OK ? sqlite_read_labels(db, &adding->made, adding->first,
                                                     (int64_t)labels->count, error)
                                : status;
}

int sqlite_labels_add(struct store *store, struct store_labels *out, bool *replayed,
                      const struct store_labels_new *labels, size_t *wrong,
                      struct deepsad_error *error)
{
    struct adding adding = {.labels = labels, .wrong = SIZE_MAX};
    int status =
        sqlite_check_name(labels->model, STORE_MODEL_MAX, "the model's name", error);
    if (status == DEEPSAD_OK && labels->idempotency_key != NULL) {
        status = sqlite_check_name(labels->idempotency_key, STORE_KEY_MAX,
                                   "Idempotency-Key", error);
    }
    if (status == DEEPSAD_OK) {
        status =
            sqlite_writer_run(sqlite_store_of(store)->writer, add_work, &adding, error);
    }
    if (status != DEEPSAD_OK) {
        store_labels_done(&adding.made);
        *wrong = adding.wrong;
        return status;
    }
    *out = adding.made;
    *replayed = adding.replayed;
    return DEEPSAD_OK;
}

/* ---- Withdrawing ------------------------------------------------------------------- */

struct withdrawal {
    const char *model, *label_id, *analyst;
    int64_t now_ms;
    struct store_labels label; /* that one */
    size_t count;
};

static int find_label(struct sqlite_db *db, const char *model, const char *label_id,
                      int64_t *label, struct deepsad_error *error)
{
    int status = sqlite_get(db, error, label,
                            "SELECT seq FROM journal"
                            " WHERE model = ?1 AND label_id = ?2 AND kind = 0",
                            SQL_TEXT(model), SQL_TEXT(label_id));
    if (status == DEEPSAD_OK && *label == 0) {
        return error_set(error, DEEPSAD_NOT_FOUND, "model %s has no label \"%s\"", model,
                         label_id);
    }
    return status;
}

/* Nothing if there is one already. */
static int write_withdrawal(struct sqlite_db *db, const struct withdrawal *withdrawal,
                            int64_t label, struct deepsad_error *error)
{
    return sqlite_run(
        db, error,
        "INSERT INTO journal (model, kind, label_id, sample, target, analyst,"
        " created_at_ms, changes) SELECT model, 1, label_id, sample, seq, ?2, ?3, 1"
        " FROM journal WHERE seq = ?1 AND NOT EXISTS"
        " (SELECT 1 FROM journal WHERE target = ?1 AND kind = 1)",
        SQL_INTEGER(label), SQL_TEXT(name_or_null(withdrawal->analyst)),
        SQL_INTEGER(withdrawal->now_ms));
}

static int take_out_of_force(struct sqlite_db *db, int64_t label,
                             struct deepsad_error *error)
{
    int64_t sample = 0;
    int status =
        sqlite_get(db, error, &sample, "SELECT sample FROM journal WHERE seq = ?1",
                   SQL_INTEGER(label));
    if (status == DEEPSAD_OK) {
        status = sqlite_run(db, error, "DELETE FROM quarantine WHERE label = ?1",
                            SQL_INTEGER(label));
    }
    if (status == DEEPSAD_OK) {
        status = sqlite_run(db, error, "DELETE FROM in_force WHERE label = ?1",
                            SQL_INTEGER(label));
    }
    return status == DEEPSAD_OK ? refresh_sample(db, sample, error) : status;
}

static int withdraw_work(struct sqlite_db *db, void *argument,
                         struct deepsad_error *error)
{
    struct withdrawal *withdrawal = argument;
    int64_t label = 0;
    int status = find_label(db, withdrawal->model, withdrawal->label_id, &label, error);
    if (status == DEEPSAD_OK) {
        status = write_withdrawal(db, withdrawal, label, error);
    }
    if (status == DEEPSAD_OK) {
        status = take_out_of_force(db, label, error);
    }
    return status == DEEPSAD_OK
               ? sqlite_read_labels(db, &withdrawal->label, label, 1, error)
               : status;
}

int sqlite_label_withdraw(struct store *store, struct store_label *out, const char *model,
                          const char *label_id, const char *analyst, int64_t now_ms,
                          struct deepsad_error *error)
{
    struct withdrawal withdrawal = {
        .model = model, .label_id = label_id, .analyst = analyst, .now_ms = now_ms};
    int status = sqlite_writer_run(sqlite_store_of(store)->writer, withdraw_work,
                                   &withdrawal, error);
    if (status != DEEPSAD_OK) {
        store_labels_done(&withdrawal.label);
        return status;
    }
    *out = withdrawal.label.labels[0];
    free(withdrawal.label.labels);
    return DEEPSAD_OK;
}

/* Those labels, as a subquery: the analyst's that are in force. */
#define OF_ANALYST " FROM in_force WHERE model = ?1 AND analyst = ?2)"

static int withdraw_by_work(struct sqlite_db *db, void *argument,
                            struct deepsad_error *error)
{
    struct withdrawal *withdrawal = argument;
    const char *model = withdrawal->model, *analyst = name_or_empty(withdrawal->analyst);
    int status = sqlite_run(
        db, error,
        "INSERT INTO journal (model, kind, label_id, sample, target, created_at_ms,"
        " changes) SELECT model, 1, label_id, sample, seq, ?3, 1 FROM journal"
        " WHERE seq IN (SELECT label" OF_ANALYST " ORDER BY seq",
        SQL_TEXT(model), SQL_TEXT(analyst), SQL_INTEGER(withdrawal->now_ms));
    if (status != DEEPSAD_OK) {
        return status;
    }
    withdrawal->count = (size_t)sqlite3_changes(db->handle);
    status = sqlite_run(db, error,
                        "DELETE FROM quarantine WHERE label IN (SELECT label" OF_ANALYST,
                        SQL_TEXT(model), SQL_TEXT(analyst));
    if (status == DEEPSAD_OK) {
        status = sqlite_run(db, error,
                            "UPDATE sample SET labels = labels - 1,"
                            " conflict = (SELECT count(DISTINCT verdict) FROM in_force"
                            "             WHERE sample = sample.seq AND verdict <> 0"
                            "             AND analyst <> ?2) = 2"
                            " WHERE seq IN (SELECT sample" OF_ANALYST,
                            SQL_TEXT(model), SQL_TEXT(analyst));
    }
    if (status == DEEPSAD_OK) {
        status = sqlite_run(db, error,
                            "DELETE FROM in_force WHERE model = ?1 AND analyst = ?2",
                            SQL_TEXT(model), SQL_TEXT(analyst));
    }
    return status;
}

int sqlite_labels_withdraw_by(struct store *store, size_t *count, const char *model,
                              const char *analyst, int64_t now_ms,
                              struct deepsad_error *error)
{
    struct withdrawal withdrawal = {.model = model, .analyst = analyst, .now_ms = now_ms};
    int status = sqlite_writer_run(sqlite_store_of(store)->writer, withdraw_by_work,
                                   &withdrawal, error);
    if (status == DEEPSAD_OK) {
        *count = withdrawal.count;
    }
    return status;
}

/* ---- Quarantine -------------------------------------------------------------------- */

struct quarantining {
    const char *model;
    const char *const *label_ids;
    size_t count;
    const char *job, *reason;
};

/* A label that is not in force any more needs none. */
static int quarantine_one(struct sqlite_db *db, const struct quarantining *all,
                          const char *label_id, struct deepsad_error *error)
{
    int64_t label = 0;
    int status = find_label(db, all->model, label_id, &label, error);
    return status == DEEPSAD_OK
               ? sqlite_run(db, error,
                            "INSERT INTO quarantine (label, model, job, reason)"
                            " SELECT label, model, ?2, ?3 FROM in_force WHERE label = ?1"
                            " ON CONFLICT (label) DO UPDATE SET job = excluded.job,"
                            " reason = excluded.reason",
                            SQL_INTEGER(label), SQL_TEXT(all->job),
                            SQL_TEXT(name_or_empty(all->reason)))
               : status;
}

static int quarantine_work(struct sqlite_db *db, void *argument,
                           struct deepsad_error *error)
{
    const struct quarantining *all = argument;
    int status = DEEPSAD_OK;
    for (size_t i = 0; status == DEEPSAD_OK && i < all->count; i++) {
        status = quarantine_one(db, all, all->label_ids[i], error);
    }
    return status;
}

int sqlite_quarantine(struct store *store, const char *model,
                      const char *const *label_ids, size_t count, const char *job,
                      const char *reason, struct deepsad_error *error)
{
    struct quarantining all = {.model = model,
                               .label_ids = label_ids,
                               .count = count,
                               .job = job,
                               .reason = reason};
    return sqlite_writer_run(sqlite_store_of(store)->writer, quarantine_work, &all,
                             error);
}
