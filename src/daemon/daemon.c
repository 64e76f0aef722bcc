/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/daemon.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api/app.h"
#include "api/batcher.h"
#include "api/cores.h"
#include "api/routes.h"
#include "base/clock.h"
#include "base/file.h"
#include "daemon/access.h"
#include "daemon/activation.h"
#include "daemon/instance.h"
#include "daemon/notify.h"
#include "daemon/signals.h"
#include "daemon/watchdog.h"
#include "http/listen.h"
#include "nn/matrix.h"
#include "store/sqlite.h"

enum {
    OPERATIONS_CONNECTIONS = 64,
    OTHER_DESCRIPTORS =
        OPERATIONS_CONNECTIONS + 64, /* listeners, the database, a model */
};

struct daemon {
    struct config config;
    const struct config_sources *sources;
    char *models_directory; /* that the registry and the learner work on */
    struct app app;
    struct access access;
    struct activation activation;
    struct watchdog *watchdog;
    int instance; /* descriptor of the lock on the state directory, -1 = none */
};

/* Each connection is a descriptor; the soft limit is a default for programs that use
 * select(2), which nothing here does. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void apply(struct daemon *daemon)
{
    const struct config *config = &daemon->config;
    struct app *app = &daemon->app;
    log_configure((enum log_level)config->log.level, (enum log_format)config->log.format);
    atomic_store(&app->max_rows, config->limits.rows);
    atomic_store(&app->max_decoded, config->limits.decoded);
    atomic_store(&app->max_labels, config->limits.labels);
    atomic_store(&app->max_label_text, config->limits.label_text);
    atomic_store(&app->max_page, config->limits.page);
    atomic_store(&app->model_control, config->models.control == CONTROL_EXPLICIT);
    atomic_store(&app->log_access, config->log.access);
    struct server_limits limits = config_limits(config);
    for (size_t i = 0; i < APP_SERVERS; i++) {
        if (app->servers[i] != NULL) {
            server_set_limits(app->servers[i], &limits);
        }
    }
    if (app->store != NULL) {
        struct store_retention retention = config_retention(config);
        store_set_retention(app->store, &retention);
    }
    if (app->review != NULL) {
        review_set(app->review, config->review.lease, config->review.pool);
    }
    if (app->learner != NULL) {
        learner_set_options(app->learner, config->learning.debounce,
                            config->learning.threads);
    }
}

static void log_model(const struct catalog_entry *entry)
{
    if (entry->fault != NULL) {
        log_event(LOG_LEVEL_ERROR,
                  entry->version_count > 0 ? "model has a fault; what was live stays live"
                                           : "model does not load",
                  LOG_TEXT("model", entry->name), LOG_TEXT("reason", entry->fault));
    }
    if (entry->version_count > 0) {
        log_event(LOG_LEVEL_INFO, "model is live", LOG_TEXT("model", entry->name),
                  LOG_INTEGER("version", entry->versions[0].number));
    }
    if (entry->version_count > 0 && !entry->reachable) {
        log_event(
            LOG_LEVEL_WARNING, "model can never call a row anomalous at its alpha",
            LOG_TEXT("model", entry->name), LOG_NUMBER("alpha", entry->alpha),
            LOG_NUMBER("alpha_min", deepsad_model_alpha_min(entry->versions[0].model)));
    }
}

static void log_models(struct registry *registry)
{
    const struct catalog *catalog = registry_acquire(registry);
    for (size_t i = 0; i < catalog->count; i++) {
        log_model(&catalog->entries[i]);
    }
    if (catalog->count == 0) {
        log_event(LOG_LEVEL_WARNING, "there are no models; add one and send SIGHUP");
    }
    registry_release(registry, catalog);
}

/* The address that counts is that of the socket, wherever it comes from. */
static int use_socket(struct config *config, const struct activation *sockets,
                      struct deepsad_error *error)
{
    char address[LISTEN_ADDRESS_MAX];
    if (sockets->clients < 0) {
        return DEEPSAD_OK;
    }
    listen_describe(address, sockets->clients);
    char *listen = strdup(address);
    if (listen == NULL) {
        return error_no_memory(error, "the configuration");
    }
    free(config->server.listen);
    config->server.listen = listen;
    return DEEPSAD_OK;
}

/* ---- Reload ------------------------------------------------------------------------ */

static int load_next(struct daemon *daemon, struct deepsad_error *error)
{
    struct config next;
    int status = config_load(&next, NULL, daemon->sources, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    struct access_next access = {.tokens = NULL};
    struct registry_options options = config_registry(&next);
    options.directory = daemon->models_directory; /* the learner's, too */
    status = use_socket(&next, &daemon->activation, error);
    if (status == DEEPSAD_OK) {
        status = access_load(&access, &next, &daemon->access, error);
    }
    if (status == DEEPSAD_OK) {
        status = registry_reload(daemon->app.registry, &options, error);
    }
    if (status != DEEPSAD_OK) {
        access_next_done(&access);
        config_done(&next);
        return status;
    }
    access_reload(&daemon->access, &access, &next);
    config_log_fixed(&daemon->config, &next);
    config_done(&daemon->config);
    daemon->config = next;
    apply(daemon);
    return DEEPSAD_OK;
}

static void reload(struct daemon *daemon)
{
    struct deepsad_error error = {0};
    notify_reloading();
    double start = clock_monotonic();
    bool success = load_next(daemon, &error) == DEEPSAD_OK;
    if (success) {
        access_log(&daemon->access, &daemon->config);
        log_models(daemon->app.registry);
        log_event(LOG_LEVEL_INFO, "reloaded",
                  LOG_NUMBER("seconds", clock_monotonic() - start));
    } else {
        log_event(LOG_LEVEL_ERROR, "reload failed; what ran before keeps running",
                  LOG_TEXT("reason", error.message));
    }
    metrics_count_reload(daemon->app.metrics, success);
    notify_reloaded();
}

/* ---- Store and learner ------------------------------------------------------------- */

static int open_store(struct daemon *daemon, struct deepsad_error *error)
{
    const struct config *config = &daemon->config;
    struct sqlite_options options = {
        .directory = config->state.directory,
        .queue = config->samples.queue,
        .retention = config_retention(config),
    };
    int status = file_make_directories(options.directory, error);
    if (status == DEEPSAD_OK) {
        status = instance_lock(&daemon->instance, options.directory, error);
    }
    if (status == DEEPSAD_OK) {
        status = sqlite_open(&daemon->app.store, &options, error);
    }
    if (status != DEEPSAD_OK) {
        error_prefix(error, "state.directory");
    }
    return status;
}

static int start_learner(struct daemon *daemon, struct deepsad_error *error)
{
    const struct config *config = &daemon->config;
    struct app *app = &daemon->app;
    struct learner_options options = {
        .registry = app->registry,
        .store = app->store,
        .debounce = config->learning.debounce,
        .threads = config->learning.threads,
        .priority = config->learning.priority,
        .observe = metrics_count_job,
        .closure = app->metrics,
    };
    app->review = review_new(config->review.lease, config->review.pool);
    if (app->review == NULL) {
        return error_no_memory(error, "the review list");
    }
    return learner_start(&app->learner, &options, daemon->models_directory, error);
}

/* ---- Servers ----------------------------------------------------------------------- */

/* So many that the descriptors suffice, with some for files: a connection for which there
 * is none would be accepted and refused over and over. */
static size_t connection_limit(const struct config *config)
{
    struct rlimit limit;
    size_t wanted = config->server.connections;
    size_t others = OTHER_DESCRIPTORS + 4 * config->server.blocking_threads;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
        wanted + others <= limit.rlim_cur) {
        return wanted;
    }
    size_t room = limit.rlim_cur > others ? (size_t)limit.rlim_cur - others : 1;
    room = room < config->server.threads ? config->server.threads : room;
    return room;
}

static int start_server(struct daemon *daemon, size_t index, const char *listen,
                        int inherited, struct deepsad_error *error)
{
    const struct config *config = &daemon->config;
    bool operations = index > 0;
    struct server_options options = {
        .listen = listen,
        .inherited = inherited,
        .tls = operations ? NULL : daemon->access.tls,
        .auth = operations ? NULL : daemon->access.auth,
        .quota = operations ? NULL : daemon->access.quota,
        .threads = operations ? 1 : config->server.threads,
        .blocking_threads = operations ? 1 : config->server.blocking_threads,
        .connections = operations ? OPERATIONS_CONNECTIONS : connection_limit(config),
        .connections_per_ip = operations ? 0 : config->server.connections_per_ip,
        .connection_memory = config->server.connection_memory,
        .limits = config_limits(config),
        .router = {routes, route_count, operations ? (unsigned)ROUTE_OPERATIONS : 0},
        .app = &daemon->app,
        .worker_new = app_worker_new,
        .worker_free = app_worker_free,
        .observe = app_observe,
    };
    struct server *server;
    int status = server_start(&server, &options, error);
    if (status == DEEPSAD_OK) {
        atomic_store(&daemon->app.servers[index], server);
    }
    return status;
}

static int start_servers(struct daemon *daemon, struct deepsad_error *error)
{
    const struct config *config = &daemon->config;
    const struct activation *sockets = &daemon->activation;
    int status = start_server(daemon, 0, config->server.listen, sockets->clients, error);
    if (status == DEEPSAD_OK &&
        (config->server.operations_listen[0] != '\0' || sockets->operations >= 0)) {
        status = start_server(daemon, 1, config->server.operations_listen,
                              sockets->operations, error);
    }
    return status;
}

/* The operations listener stays up for as long as the drain takes. A second signal to
 * stop ends the wait. */
static void drain(struct daemon *daemon)
{
    struct server *server = daemon->app.servers[0];
    atomic_store(&daemon->app.draining, true);
    batcher_stop(daemon->app.batcher); /* nobody comes any more for whom to wait */
    notify_send("STOPPING=1");
    log_event(LOG_LEVEL_INFO, "stopping: finishing the requests under way",
              LOG_INTEGER("connections", server_connections(server)));
    double end = clock_monotonic() + daemon->config.server.drain_time;
    bool done = false, forced = false;
    while (!done && !forced && clock_monotonic() < end) {
        double left = end - clock_monotonic();
        done = server_drain(server, left < 0.25 ? left : 0.25);
        forced = (signals_wait(0) & SIGNAL_STOP) != 0;
        notify_send("WATCHDOG=1");
    }
    if (!done) {
        log_event(LOG_LEVEL_WARNING, "stopping with requests unfinished");
    }
}

static void log_connection_limit(const struct config *config)
{
    size_t limit = connection_limit(config);
    if (limit < config->server.connections) {
        log_event(LOG_LEVEL_WARNING,
                  "fewer connections than server.connections: the limit of open files is "
                  "too low (ulimit -n, LimitNOFILE)",
                  LOG_INTEGER("connections", limit),
                  LOG_INTEGER("server.connections", config->server.connections));
    }
}

static void serve(struct daemon *daemon)
{
    const char *address = server_address(daemon->app.servers[0]);
    const char *scheme = listen_is_unix(address)      ? ""
                         : daemon->access.tls == NULL ? "http://"
                                                      : "https://";
    fprintf(stderr, "deepsadd: listening on %s%s\n", scheme, address);
    if (daemon->app.servers[1] != NULL) {
        log_event(LOG_LEVEL_INFO, "serving health and metrics",
                  LOG_TEXT("address", server_address(daemon->app.servers[1])));
    }
    log_event(LOG_LEVEL_INFO, "started", LOG_TEXT("version", DEEPSAD_VERSION),
              LOG_TEXT("blas", matrix_blas_description()),
              LOG_INTEGER("threads", daemon->config.server.threads));
    log_connection_limit(&daemon->config);
    access_log(&daemon->access, &daemon->config);
    log_models(daemon->app.registry);
    notify_send("READY=1");
    int interval = notify_watchdog_interval();
    unsigned bits = 0;
    while ((bits & SIGNAL_STOP) == 0) {
        bits = signals_wait(interval);
        if ((bits & SIGNAL_RELOAD) != 0) {
            reload(daemon);
        }
        if (interval >= 0 && watchdog_check(daemon->watchdog, &daemon->app)) {
            notify_send("WATCHDOG=1");
        }
    }
    drain(daemon);
}

static int start_access(struct daemon *daemon, struct deepsad_error *error)
{
    struct access_next next;
    int status = activation_take(&daemon->activation, error);
    if (status == DEEPSAD_OK) {
        status = use_socket(&daemon->config, &daemon->activation, error);
    }
    if (status == DEEPSAD_OK) {
        status = access_load(&next, &daemon->config, NULL, error);
    }
    if (status == DEEPSAD_OK) {
        status = access_start(&daemon->access, &next, &daemon->config, error);
    }
    daemon->app.audit = daemon->access.audit;
    return status;
}

static int start(struct daemon *daemon, struct deepsad_error *error)
{
    struct app *app = &daemon->app;
    struct registry_options options = config_registry(&daemon->config);
    options.directory = daemon->models_directory;
    int status = signals_init(error);
    if (status == DEEPSAD_OK) {
        status = start_access(daemon, error);
    }
    if (status == DEEPSAD_OK) {
        status = matrix_blas_init(error);
    }
    if (status == DEEPSAD_OK) {
        status = metrics_new(&app->metrics, routes, route_count, error);
    }
    if (status == DEEPSAD_OK) {
        status = inference_stats_new(&app->inference_stats, error);
    }
    if (status == DEEPSAD_OK) {
        status = cores_new(&app->cores, daemon->config.server.threads, error);
    }
    if (status == DEEPSAD_OK) {
        status = batcher_new(&app->batcher, app->cores, app->metrics,
                             daemon->config.server.threads, error);
    }
    if (status == DEEPSAD_OK) {
        status = registry_open(&app->registry, &options, error);
    }
    if (status == DEEPSAD_OK) {
        status = open_store(daemon, error);
    }
    if (status == DEEPSAD_OK) {
        status = start_learner(daemon, error);
    }
    /* Twice what the manager waits for a sign of life. */
    double stuck_after = 4e-3 * notify_watchdog_interval();
    if (status == DEEPSAD_OK && (daemon->watchdog = watchdog_new(stuck_after)) == NULL) {
        status = error_no_memory(error, "the watchdog");
    }
    return status == DEEPSAD_OK ? start_servers(daemon, error) : status;
}

/* Handlers use all the others, the learner uses store and registry. */
static void stop(struct daemon *daemon)
{
    struct app *app = &daemon->app;
    batcher_stop(app->batcher); /* connections that wait for it are resumed */
    for (size_t i = 0; i < APP_SERVERS; i++) {
        server_stop(app->servers[i]);
    }
    for (size_t i = 0; i < APP_SERVERS; i++) {
        server_free(app->servers[i]);
    }
    learner_stop(app->learner);
    review_free(app->review);
    store_close(app->store);
    if (app->registry != NULL) {
        registry_close(app->registry);
    }
    batcher_free(app->batcher);
    cores_free(app->cores);
    inference_stats_free(app->inference_stats);
    metrics_free(app->metrics);
    access_done(&daemon->access);
    watchdog_free(daemon->watchdog);
    if (daemon->instance >= 0) {
        close(daemon->instance);
    }
}

int daemon_run(struct config *config, const struct config_sources *sources,
               struct deepsad_error *error)
{
    struct daemon daemon = {.config = *config, .sources = sources, .instance = -1};
    daemon.activation = (struct activation){-1, -1};
    daemon.models_directory = strdup(config->models.directory);
    if (daemon.models_directory == NULL) {
        config_done(&daemon.config);
        return error_no_memory(error, "the configuration");
    }
    raise_descriptor_limit();
    apply(&daemon);
    int status = start(&daemon, error);
    if (status == DEEPSAD_OK) {
        serve(&daemon);
    }
    stop(&daemon);
    if (status == DEEPSAD_OK) {
        log_event(LOG_LEVEL_INFO, "stopped");
    }
    config_done(&daemon.config);
    free(daemon.models_directory);
    return status;
}

/* Whether the state directory can be written, or made where it is not there yet. */
static int check_state(const char *directory, struct deepsad_error *error)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", directory);
    for (char *slash; access(path, F_OK) != 0 && (slash = strrchr(path, '/')) != NULL;) {
        *(slash == path ? slash + 1 : slash) = '\0';
    }
    if (access(path, W_OK | X_OK) != 0 &&
        !(strchr(path, '/') == NULL && errno == ENOENT)) {
        return error_system(error, errno, "state.directory: %s: cannot write into %s",
                            directory, path);
    }
    return DEEPSAD_OK;
}

int daemon_check_models(const struct config *config, struct deepsad_error *error)
{
    struct registry_options options = config_registry(config);
    struct registry *registry;
    struct access_next access = {.tokens = NULL};
    int status = check_state(config->state.directory, error);
    if (status == DEEPSAD_OK) {
        status = access_load(&access, config, NULL, error);
        access_next_done(&access);
    }
    if (status == DEEPSAD_OK) {
        status = matrix_blas_init(error);
    }
    if (status == DEEPSAD_OK) {
        status = registry_open(&registry, &options, error);
    }
    if (status != DEEPSAD_OK) {
        return status;
    }
    const struct catalog *catalog = registry_acquire(registry);
    size_t faults = 0;
    for (size_t i = 0; i < catalog->count; i++) {
        const struct catalog_entry *entry = &catalog->entries[i];
        if (entry->fault != NULL) {
            fprintf(stderr, "deepsadd: model %s: %s\n", entry->name, entry->fault);
            faults++;
        }
    }
    size_t count = catalog->count;
    registry_release(registry, catalog);
    registry_close(registry);
    if (faults > 0) {
        return error_set(error, DEEPSAD_CORRUPT, "%zu of %zu models do not load", faults,
                         count);
    }
    printf("configuration and %zu model%s are fine\n", count, count == 1 ? "" : "s");
    return DEEPSAD_OK;
}
