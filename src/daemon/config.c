/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "access/tokens.h"
#include "base/parallel.h"
#include "base/setting_yaml.h"
#include "http/listen.h"
#include "http/tls.h"

static const char *const levels[] = {"error", "warning", "info", "debug", NULL};
static const char *const formats[] = {"auto", "text", "json", "journal", NULL};

/* In the order of enum config_insecure. */
static const char *const insecures[] = {"never", "cleartext", "open", NULL};

/* In the order of enum tls_clients. */
static const char *const clients[] = {"none", "optional", "required", NULL};

/* In the order of enum config_control. */
static const char *const controls[] = {"none", "explicit", NULL};

/* In the order of enum quiet_priority. */
static const char *const priorities[] = {"idle", "nice", "normal", NULL};

#define KIB 1024.0
#define MIB (1024.0 * KIB)
#define GIB (1024.0 * MIB)
#define AT(member) .offset = offsetof(struct config, member)

static const struct setting settings[] = {
    {.key = "server.listen",
     .type = SETTING_TEXT,
     AT(server.listen),
     .fallback = "127.0.0.1:8080",
     .help = "Address and port; port 0 takes a free one."},
    {.key = "server.operations_listen",
     .type = SETTING_TEXT,
     AT(server.operations_listen),
     .fallback = "",
     .help = "A second address that serves health and metrics only; empty: none."},
    {.key = "server.threads",
     .type = SETTING_COUNT,
     AT(server.threads),
     .min = 0,
     .max = 256,
     .fallback = "0",
     .help = "Threads that serve; 0: one per core."},
    {.key = "server.blocking_threads",
     .type = SETTING_COUNT,
     AT(server.blocking_threads),
     .min = 1,
     .max = 256,
     .fallback = "16",
     .help = "Threads for requests that wait: for the disk, for many rows."},
    {.key = "server.connections",
     .type = SETTING_COUNT,
     AT(server.connections),
     .min = 1,
     .max = 1e6,
     .fallback = "8192",
     .help = "Open connections at once."},
    {.key = "server.connections_per_ip",
     .type = SETTING_COUNT,
     AT(server.connections_per_ip),
     .min = 0,
     .max = 1e6,
     .fallback = "512",
     .help = "Open connections of one address; 0: no limit."},
    {.key = "server.connection_memory",
     .type = SETTING_SIZE,
     AT(server.connection_memory),
     .min = 8 * KIB,
     .max = MIB,
     .fallback = "32KiB",
     .help = "Memory of a connection; a request's head must fit into half of it."},
    {.key = "server.drain_time",
     .type = SETTING_DURATION,
     AT(server.drain_time),
     .min = 0,
     .max = 3600,
     .fallback = "20s",
     .help = "How long running requests may take to finish at shutdown."},
    {.key = "server.insecure",
     .type = SETTING_CHOICE,
     AT(server.insecure),
     .choices = insecures,
     .fallback = "never",
     .help =
         "What other machines may reach: never, cleartext (tokens without TLS), open."},
    {.key = "tls.certificate",
     .type = SETTING_TEXT,
     AT(tls.certificate),
     .fallback = "",
     .help = "PEM file of the server's certificate and its chain; empty: no TLS."},
    {.key = "tls.key",
     .type = SETTING_TEXT,
     AT(tls.key),
     .fallback = "",
     .help = "PEM file of its private key."},
    {.key = "tls.clients",
     .type = SETTING_CHOICE,
     AT(tls.clients),
     .choices = clients,
     .fallback = "none",
     .help = "Certificates of clients: none, optional or required."},
    {.key = "tls.client_authorities",
     .type = SETTING_TEXT,
     AT(tls.client_authorities),
     .fallback = "",
     .help = "PEM file of the authorities whose certificates clients may show."},
    {.key = "access.tokens",
     .type = SETTING_TEXT,
     AT(access.tokens),
     .fallback = TOKENS_PATH,
     .help = "The file of deepsad token; if it is there, clients need a token."},
    {.key = "models.directory",
     .type = SETTING_TEXT,
     AT(models.directory),
     .fallback = "/var/lib/deepsad/models",
     .help = "MODELS/NAME/VERSION are the models."},
    {.key = "models.versions_loaded",
     .type = SETTING_COUNT,
     AT(models.versions_loaded),
     .min = 1,
     .max = 1000,
     .fallback = "2",
     .help = "Newest versions of each model that are kept in memory."},
    {.key = "models.control",
     .type = SETTING_CHOICE,
     AT(models.control),
     .choices = controls,
     .fallback = "explicit",
     .help = "Whether requests may load and unload models: explicit or none."},
    {.key = "state.directory",
     .type = SETTING_TEXT,
     AT(state.directory),
     .fallback = "/var/lib/deepsad/state",
     .help = "Where the daemon keeps its own data."},
    {.key = "samples.count",
     .type = SETTING_COUNT,
     AT(samples.count),
     .min = 0,
     .max = 1e9,
     .fallback = "100000",
     .help = "Kept samples of a model without a label; the oldest go."},
    {.key = "samples.age",
     .type = SETTING_DURATION,
     AT(samples.age),
     .min = 0,
     .max = 1e10,
     .fallback = "90d",
     .help = "Older samples without a label go; 0s: none by age."},
    {.key = "samples.queue",
     .type = SETTING_SIZE,
     AT(samples.queue),
     .min = 64 * KIB,
     .max = GIB,
     .fallback = "16MiB",
     .help = "Memory of samples that wait to be written; more are dropped."},
    {.key = "labels.idempotency_age",
     .type = SETTING_DURATION,
     AT(labels.idempotency_age),
     .min = 60,
     .max = 1e10,
     .fallback = "7d",
     .help = "How long an Idempotency-Key is remembered."},
    {.key = "review.lease",
     .type = SETTING_DURATION,
     AT(review.lease),
     .min = 0,
     .max = 86400,
     .fallback = "10m",
     .help = "How long a row shown to one analyst is not shown to others."},
    {.key = "review.pool",
     .type = SETTING_COUNT,
     AT(review.pool),
     .min = 1,
     .max = 1e7,
     .fallback = "20000",
     .help = "Newest samples without a label that the review list looks at."},
    {.key = "learning.debounce",
     .type = SETTING_DURATION,
     AT(learning.debounce),
     .min = 0,
     .max = 3600,
     .fallback = "50ms",
     .help = "Time without a new label before a retraining starts."},
    {.key = "learning.threads",
     .type = SETTING_COUNT,
     AT(learning.threads),
     .min = 0,
     .max = 256,
     .fallback = "1",
     .help = "Threads of a retraining; 0: one per core."},
    {.key = "learning.jobs",
     .type = SETTING_COUNT,
     AT(learning.jobs),
     .min = 0,
     .max = 1e9,
     .fallback = "10000",
     .help = "Records of ended retrainings that are kept, of all models; 0: all."},
    {.key = "learning.priority",
     .type = SETTING_CHOICE,
     AT(learning.priority),
     .choices = priorities,
     .fallback = "idle",
     .help = "idle, nice or normal: what a retraining leaves to scoring."},
    {.key = "limits.body",
     .type = SETTING_SIZE,
     AT(limits.body),
     .min = KIB,
     .max = GIB,
     .fallback = "16MiB",
     .help = "Longest body of a request."},
    {.key = "limits.rows",
     .type = SETTING_COUNT,
     AT(limits.rows),
     .min = 1,
     .max = 1e7,
     .fallback = "10000",
     .help = "Rows of a request."},
    {.key = "limits.decoded",
     .type = SETTING_SIZE,
     AT(limits.decoded),
     .min = 64 * KIB,
     .max = GIB,
     .fallback = "64MiB",
     .help = "Memory of a request's rows as floats."},
    {.key = "limits.labels",
     .type = SETTING_COUNT,
     AT(limits.labels),
     .min = 1,
     .max = 1e6,
     .fallback = "1000",
     .help = "Labels of a request."},
    {.key = "limits.label_text",
     .type = SETTING_SIZE,
     AT(limits.label_text),
     .min = 1,
     .max = MIB,
     .fallback = "4KiB",
     .help = "Length of a label's analyst, reason and note, each."},
    {.key = "limits.page",
     .type = SETTING_COUNT,
     AT(limits.page),
     .min = 1,
     .max = 1e6,
     .fallback = "1000",
     .help = "Entries of one page of a list."},
    {.key = "limits.in_flight",
     .type = SETTING_COUNT,
     AT(limits.in_flight),
     .min = 1,
     .max = 1e6,
     .fallback = "256",
     .help = "Requests being received or answered at once; more are refused with 503."},
    {.key = "limits.head_time",
     .type = SETTING_DURATION,
     AT(limits.head_time),
     .min = 0.01,
     .max = 86400,
     .fallback = "10s",
     .help = "From the connection to the first request's complete head."},
    {.key = "limits.body_time",
     .type = SETTING_DURATION,
     AT(limits.body_time),
     .min = 0.01,
     .max = 86400,
     .fallback = "30s",
     .help = "From a request's head to its complete body."},
    {.key = "limits.reply_time",
     .type = SETTING_DURATION,
     AT(limits.reply_time),
     .min = 0.01,
     .max = 86400,
     .fallback = "30s",
     .help = "From there until the client has taken the answer."},
    {.key = "limits.idle_time",
     .type = SETTING_DURATION,
     AT(limits.idle_time),
     .min = 0.01,
     .max = 86400,
     .fallback = "60s",
     .help = "From an answer to the next request's complete head."},
    {.key = "limits.client_rate",
     .type = SETTING_NUMBER,
     AT(limits.client_rate),
     .min = 0,
     .max = 1e9,
     .fallback = "0",
     .help = "Requests a second of one client (token, else address); 0: no limit."},
    {.key = "limits.client_burst",
     .type = SETTING_COUNT,
     AT(limits.client_burst),
     .min = 1,
     .max = 1e9,
     .fallback = "100",
     .help = "Requests that a client may make at once."},
    {.key = "log.level",
     .type = SETTING_CHOICE,
     AT(log.level),
     .choices = levels,
     .fallback = "info",
     .help = "error, warning, info or debug."},
    {.key = "log.format",
     .type = SETTING_CHOICE,
     AT(log.format),
     .choices = formats,
     .fallback = "auto",
     .help = "text, json, journal; auto: by what standard error is."},
    {.key = "log.access",
     .type = SETTING_BOOL,
     AT(log.access),
     .fallback = "false",
     .help = "One line per request."},
    {.key = "log.audit",
     .type = SETTING_TEXT,
     AT(log.audit),
     .fallback = "log",
     .help = "Where the audit goes: log, none, or a file."},
};

enum { TABLE_SIZE = sizeof settings / sizeof settings[0] };
_Static_assert((int)TABLE_SIZE <= (int)CONFIG_SETTINGS_MAX, "raise the maximum");

static const struct setting_table table = {settings, TABLE_SIZE};

/* What is given to threads, sockets, the store and the learner when they are made. */
static const char *const fixed_prefixes[] = {"server.", "state.", "models.directory",
                                             "samples.queue", "learning.priority"};

static int load_file(struct config *config, enum setting_source *origins,
                     const struct config_sources *sources, struct deepsad_error *error)
{
    const char *path = sources->path == NULL ? CONFIG_PATH : sources->path;
    if (sources->path == NULL && access(path, F_OK) != 0) {
        return DEEPSAD_OK;
    }
    return settings_load_yaml(config, table, path, origins, error);
}

static int load_flags(struct config *config, enum setting_source *origins,
                      const struct config_sources *sources, struct deepsad_error *error)
{
    for (size_t i = 0; i < sources->flag_count; i++) {
        const struct config_flag *flag = &sources->flags[i];
        int status = settings_set(config, table, flag->key, flag->value, SETTING_FLAG,
                                  origins, error);
        if (status != DEEPSAD_OK) {
            return status;
        }
    }
    return DEEPSAD_OK;
}

static int check_tls(const struct config *config, struct deepsad_error *error)
{
    bool certificate = config->tls.certificate[0] != '\0';
    if (certificate != (config->tls.key[0] != '\0')) {
        return error_set(error, DEEPSAD_INVALID,
                         "tls.certificate and tls.key: one is there without the other");
    }
    if (config->tls.clients != TLS_CLIENTS_NONE &&
        (!certificate || config->tls.client_authorities[0] == '\0')) {
        return error_set(error, DEEPSAD_INVALID,
                         "tls.clients: %s needs tls.certificate, tls.key and "
                         "tls.client_authorities",
                         clients[config->tls.clients]);
    }
    return DEEPSAD_OK;
}

/* What concerns more than one key. */
static int check(struct config *config, struct deepsad_error *error)
{
    if (config->server.threads == 0) {
        config->server.threads = parallel_cores();
    }
    if (config->server.connections < config->server.threads) {
        return error_set(error, DEEPSAD_INVALID,
                         "server.connections: %zu are fewer than the %zu threads",
                         config->server.connections, config->server.threads);
    }
    if (config->server.operations_listen[0] != '\0') {
        int status = listen_check(config->server.operations_listen, error);
        if (status != DEEPSAD_OK) {
            error_prefix(error, "server.operations_listen");
            return status;
        }
    }
    int status = listen_check(config->server.listen, error);
    if (status != DEEPSAD_OK) {
        error_prefix(error, "server.listen");
        return status;
    }
    return check_tls(config, error);
}

int config_load(struct config *config, enum setting_source *origins,
                const struct config_sources *sources, struct deepsad_error *error)
{
    enum setting_source ignored[CONFIG_SETTINGS_MAX];
    origins = origins == NULL ? ignored : origins;
    struct config next = {.log.level = 0};
    int status = settings_init(&next, table, origins, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    status = load_file(&next, origins, sources, error);
    if (status == DEEPSAD_OK) {
        status = settings_load_environment(&next, table, "DEEPSADD", sources->environment,
                                           origins, error);
    }
    if (status == DEEPSAD_OK) {
        status = load_flags(&next, origins, sources, error);
    }
    if (status == DEEPSAD_OK) {
        status = check(&next, error);
    }
    if (status != DEEPSAD_OK) {
        settings_done(&next, table);
        return status;
    }
    *config = next;
    return DEEPSAD_OK;
}

void config_done(struct config *config)
{
    settings_done(config, table);
}

void config_print(struct buffer *out, const struct config *config,
                  const enum setting_source *origins)
{
    static const char *const names[] = {"default", "file", "environment", "flag"};
    for (size_t i = 0; i < table.count; i++) {
        buffer_printf(out, "%s: ", settings[i].key);
        size_t before = out->length;
        setting_print(out, config, table, i);
        buffer_append_text(out, out->length == before ? "\"\"" : "");
        buffer_printf(out, "  # %s\n", names[origins[i]]);
    }
}

static bool is_fixed(const char *key)
{
    for (size_t i = 0; i < sizeof fixed_prefixes / sizeof fixed_prefixes[0]; i++) {
        if (strncmp(key, fixed_prefixes[i], strlen(fixed_prefixes[i])) == 0) {
            return strcmp(key, "server.drain_time") != 0 &&
                   strcmp(key, "server.insecure") != 0;
        }
    }
    return false;
}

static bool same(const struct config *a, const struct config *b, size_t index)
{
    struct buffer one = {0}, other = {0};
    setting_print(&one, a, table, index);
    setting_print(&other, b, table, index);
    bool equal = one.length == other.length &&
                 (one.length == 0 || memcmp(one.data, other.data, one.length) == 0);
    buffer_done(&one);
    buffer_done(&other);
    return equal;
}

void config_log_fixed(const struct config *running, const struct config *next)
{
    for (size_t i = 0; i < table.count; i++) {
        if (is_fixed(settings[i].key) && !same(running, next, i)) {
            log_event(LOG_LEVEL_WARNING, "changed key takes effect after a restart",
                      LOG_TEXT("key", settings[i].key));
        }
    }
}

struct server_limits config_limits(const struct config *config)
{
    return (struct server_limits){
        .body = config->limits.body,
        .in_flight = config->limits.in_flight,
        .head_time = config->limits.head_time,
        .body_time = config->limits.body_time,
        .reply_time = config->limits.reply_time,
        .idle_time = config->limits.idle_time,
    };
}

struct registry_options config_registry(const struct config *config)
{
    return (struct registry_options){
        .directory = config->models.directory,
        .versions_loaded = config->models.versions_loaded,
    };
}

struct store_retention config_retention(const struct config *config)
{
    return (struct store_retention){
        .samples = config->samples.count,
        .samples_age = config->samples.age,
        .idempotency_age = config->labels.idempotency_age,
        .jobs = config->learning.jobs,
    };
}
