/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration: one table of settings is the file's grammar, the environment's
 * names, what --print-config prints, and which keys a reload may change. Precedence:
 * flag, environment, file, default.
 */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include "base/log.h"
#include "base/setting.h"
#include "http/server.h"
#include "model/registry.h"
#include "store/store.h"

enum config_control { CONTROL_NONE, CONTROL_EXPLICIT };
/* What may be reached from other machines: see server.insecure. */
enum config_insecure { INSECURE_NEVER, INSECURE_CLEARTEXT, INSECURE_OPEN };

struct config {
    struct {
        char *listen, *operations_listen;
        size_t threads, blocking_threads;
        size_t connections, connections_per_ip, connection_memory;
        double drain_time;
        int insecure;
    } server;
    struct {
        char *certificate, *key, *client_authorities;
        int clients; /* enum tls_clients */
    } tls;
    struct {
        char *tokens;
    } access;
    struct {
        char *directory;
        size_t versions_loaded;
        int control;
    } models;
    struct {
        char *directory;
    } state;
    struct {
        size_t count, queue;
        double age;
    } samples;
    struct {
        double idempotency_age;
    } labels;
    struct {
        double lease;
        size_t pool;
    } review;
    struct {
        double debounce;
        size_t threads, jobs;
        int priority;
    } learning;
    struct {
        size_t labels, label_text, page;
        size_t body, rows, decoded, in_flight;
        double head_time, body_time, reply_time, idle_time;
        double client_rate;
        size_t client_burst;
    } limits;
    struct {
        int level, format;
        bool access;
        char *audit;
    } log;
};

enum { CONFIG_SETTINGS_MAX = 64 };

/* What the command line says: keys and values of settings, kept for reloads. */
struct config_flag {
    const char *key, *value;
};

struct config_sources {
    const char *path; /* of --config, or NULL: CONFIG_PATH, which may be absent */
    char *const *environment;
    const struct config_flag *flags;
    size_t flag_count;
};

#define CONFIG_PATH "/etc/deepsad/deepsadd.yaml"

/* Reads all sources and checks the result. `origins` ([CONFIG_SETTINGS_MAX]) may be NULL.
 */
int config_load(struct config *config, enum setting_source *origins,
                const struct config_sources *sources, struct deepsad_error *error);
void config_done(struct config *config);

/* One line per key: value, and where it came from. */
void config_print(struct buffer *out, const struct config *config,
                  const enum setting_source *origins);

/* Logs the keys that differ and take effect only with a restart. */
void config_log_fixed(const struct config *running, const struct config *next);

struct server_limits config_limits(const struct config *config);
struct registry_options config_registry(const struct config *config);
struct store_retention config_retention(const struct config *config);

#endif
