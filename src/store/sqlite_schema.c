/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite_schema.h"

#include <inttypes.h>
#include <stdio.h>

/* "DSAD": what file(1) and we know the database by. */
#define APPLICATION_ID "1146306884"

/*
 * sample     `journaled`: some entry of the journal names it, so it stays for ever;
 *            `labels`: how many in force; `brought`: came with a verdict, not by
 *            scoring: it is no traffic, also when the verdict is withdrawn; x: floats of
 * 32 bits, little-endian. Every index costs each sample that is kept: the two that part
 * samples by `journaled` serve the lists, which merge them, and retention. model counts
 * of samples, kept by triggers; `loose`: those not journaled. journal    kind 0: a
 * verdict; `target`: the entry it supersedes. kind 1: a withdrawal; `target`: the verdict
 * it takes back. `changes`: may change a training. Triggers forbid all but INSERT.
 * in_force, quarantine, sample.labels, sample.conflict, sample.journaled: what follows
 *            from the journal, written in the same transaction. An analyst that is not
 *            named is '' in in_force and NULL in the journal.
 */
static const char SCHEMA_1[] =
    "CREATE TABLE sample ("
    " seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    " model TEXT NOT NULL,"
    " id TEXT NOT NULL,"
    " scored_at_ms INTEGER NOT NULL,"
    " version INTEGER NOT NULL,"
    " score REAL,"
    " p_value REAL,"
    " features INTEGER NOT NULL,"
    " journaled INTEGER NOT NULL DEFAULT 0,"
    " labels INTEGER NOT NULL DEFAULT 0,"
    " conflict INTEGER NOT NULL DEFAULT 0,"
    " brought INTEGER NOT NULL DEFAULT 0,"
    " x BLOB NOT NULL,"
    " UNIQUE (model, id));"
    "CREATE INDEX sample_loose ON sample (model) WHERE journaled = 0;"
    "CREATE INDEX sample_journaled ON sample (model) WHERE journaled = 1;"
    "CREATE INDEX sample_conflict ON sample (model) WHERE conflict = 1;"

    "CREATE TABLE model ("
    " name TEXT PRIMARY KEY,"
    " samples INTEGER NOT NULL,"
    " loose INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TRIGGER sample_inserted AFTER INSERT ON sample BEGIN"
    " INSERT INTO model (name, samples, loose)"
    "  VALUES (NEW.model, 1, NEW.journaled = 0)"
    "  ON CONFLICT (name) DO UPDATE SET samples = samples + 1,"
    "   loose = loose + excluded.loose;"
    "END;"
    "CREATE TRIGGER sample_deleted AFTER DELETE ON sample BEGIN"
    " UPDATE model SET samples = samples - 1, loose = loose - (OLD.journaled = 0)"
    "  WHERE name = OLD.model;"
    "END;"
    "CREATE TRIGGER sample_journaled AFTER UPDATE OF journaled ON sample"
    " WHEN OLD.journaled <> NEW.journaled BEGIN"
    " UPDATE model SET loose = loose + OLD.journaled - NEW.journaled"
    "  WHERE name = NEW.model;"
    "END;"

    "CREATE TABLE journal ("
    " seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    " model TEXT NOT NULL,"
    " kind INTEGER NOT NULL CHECK (kind IN (0, 1)),"
    " label_id TEXT NOT NULL,"
    " sample INTEGER NOT NULL REFERENCES sample (seq),"
    " target INTEGER REFERENCES journal (seq),"
    " verdict INTEGER CHECK (verdict IN (-1, 0, 1)),"
    " ordinal INTEGER,"
    " analyst TEXT,"
    " reason TEXT,"
    " note TEXT,"
    " created_at_ms INTEGER NOT NULL,"
    " changes INTEGER NOT NULL,"
    " CHECK ((kind = 0) = (verdict IS NOT NULL AND ordinal IS NOT NULL)),"
    " CHECK (kind = 0 OR target IS NOT NULL));"
    "CREATE INDEX journal_model ON journal (model, kind);"
    "CREATE UNIQUE INDEX journal_label ON journal (model, label_id) WHERE kind = 0;"
    "CREATE UNIQUE INDEX journal_ordinal ON journal (model, verdict, ordinal)"
    " WHERE kind = 0;"
    "CREATE UNIQUE INDEX journal_target ON journal (target, kind)"
    " WHERE target IS NOT NULL;"
    "CREATE INDEX journal_sample ON journal (sample);"
    "CREATE INDEX journal_analyst ON journal (model, analyst)"
    " WHERE analyst IS NOT NULL;"
    "CREATE INDEX journal_changes ON journal (model) WHERE changes = 1;"
    "CREATE TRIGGER journal_no_update BEFORE UPDATE ON journal BEGIN"
    " SELECT RAISE (ABORT, 'the journal is append-only'); END;"
    "CREATE TRIGGER journal_no_delete BEFORE DELETE ON journal BEGIN"
    " SELECT RAISE (ABORT, 'the journal is append-only'); END;"

    "CREATE TABLE in_force ("
    " sample INTEGER NOT NULL REFERENCES sample (seq),"
    " analyst TEXT NOT NULL,"
    " label INTEGER NOT NULL UNIQUE REFERENCES journal (seq),"
    " model TEXT NOT NULL,"
    " verdict INTEGER NOT NULL,"
    " PRIMARY KEY (sample, analyst)) WITHOUT ROWID;"
    "CREATE INDEX in_force_model ON in_force (model, label, verdict);"

    "CREATE TABLE quarantine ("
    " label INTEGER PRIMARY KEY REFERENCES journal (seq),"
    " model TEXT NOT NULL,"
    " job TEXT,"
    " reason TEXT NOT NULL);"
    "CREATE INDEX quarantine_model ON quarantine (model);"

    "CREATE TABLE idempotency ("
    " model TEXT NOT NULL,"
    " key TEXT NOT NULL,"
    " digest BLOB NOT NULL,"
    " first INTEGER NOT NULL,"
    " count INTEGER NOT NULL,"
    " used_at_ms INTEGER NOT NULL,"
    " PRIMARY KEY (model, key));"
    "CREATE INDEX idempotency_age ON idempotency (used_at_ms);"

    "CREATE TABLE job ("
    " id TEXT PRIMARY KEY,"
    " model TEXT NOT NULL,"
    " state TEXT NOT NULL,"
    " created_at_ms INTEGER NOT NULL,"
    " started_at_ms INTEGER NOT NULL,"
    " finished_at_ms INTEGER NOT NULL,"
    " journal_seq INTEGER NOT NULL,"
    " version INTEGER NOT NULL,"
    " detail TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX job_model ON job (model, id);"
    "CREATE INDEX job_state ON job (state, id);"

    "CREATE TABLE version ("
    " model TEXT NOT NULL,"
    " number INTEGER NOT NULL,"
    " parent INTEGER NOT NULL,"
    " job TEXT NOT NULL,"
    " created_at_ms INTEGER NOT NULL,"
    " detail TEXT NOT NULL,"
    " PRIMARY KEY (model, number)) WITHOUT ROWID;"

    /* What the writer writes to see whether it can. */
    "CREATE TABLE probe (id INTEGER PRIMARY KEY CHECK (id = 1), at_ms INTEGER NOT NULL);"

    "PRAGMA application_id = " APPLICATION_ID ";";

/* Step i makes version i + 1. Steps that were released are never changed. */
static const char *const STEPS[SQLITE_SCHEMA_VERSION] = {SCHEMA_1};

static int check(struct sqlite_db *db, int64_t version, struct deepsad_error *error)
{
    int64_t tables = 0;
    if (version > SQLITE_SCHEMA_VERSION) {
        return error_set(error, DEEPSAD_UNSUPPORTED,
                         "the label store has schema %" PRId64
                         ", this program knows up to %d; start the newer program",
                         version, SQLITE_SCHEMA_VERSION);
    }
    int status =
        sqlite_get_values(db, error, &tables, "SELECT count(*) FROM sqlite_schema", NULL);
    if (status == DEEPSAD_OK && version == 0 && tables > 0) {
        status = error_set(error, DEEPSAD_UNSUPPORTED,
                           "a database, but not a label store; move it away");
    }
    return status;
}

static int take_steps(struct sqlite_db *db, struct deepsad_error *error)
{
    int64_t version = 0;
    int status = sqlite_get_values(db, error, &version, "PRAGMA user_version", NULL);
    if (status == DEEPSAD_OK) {
        status = check(db, version, error);
    }
    for (; status == DEEPSAD_OK && version < SQLITE_SCHEMA_VERSION; version++) {
        char text[64];
        snprintf(text, sizeof text, "PRAGMA user_version = %" PRId64, version + 1);
        status = sqlite_run_script(db, error, STEPS[version]);
        if (status == DEEPSAD_OK) {
            status = sqlite_run_script(db, error, text);
        }
    }
    return status;
}

int sqlite_schema_update(struct sqlite_db *db, bool makes, struct deepsad_error *error)
{
    int64_t version = 0;
    int status = sqlite_get_values(db, error, &version, "PRAGMA user_version", NULL);
    if (status != DEEPSAD_OK || version == SQLITE_SCHEMA_VERSION) {
        return status;
    }
    if (version == 0 && !makes) {
        return error_set(error, DEEPSAD_IO,
                         "the label store cannot write: its file was "
                         "emptied; put it back, or start anew");
    }
    status = sqlite_run_script(db, error, "BEGIN IMMEDIATE");
    if (status == DEEPSAD_OK) {
        status = take_steps(db, error);
    }
    if (status == DEEPSAD_OK) {
        status = sqlite_run_script(db, error, "COMMIT");
    }
    if (status != DEEPSAD_OK && !sqlite3_get_autocommit(db->handle)) {
        sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
    }
    return status;
}
