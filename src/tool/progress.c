/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/progress.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tool/stop.h"
#include "tool/terminal.h"

enum { BAR_CELLS = 24 };
static const double bar_interval = 0.05, json_interval = 0.1; /* seconds */

struct progress progress_new(bool json)
{
    enum progress_form form = json                    ? PROGRESS_JSON
                              : isatty(STDERR_FILENO) ? PROGRESS_BAR
                                                      : PROGRESS_LINES;
    return (struct progress){.form = form, .last = -(double)INFINITY};
}

const char *progress_time(char out[static PROGRESS_TIME_SIZE], double seconds)
{
    if (seconds < 9.95) {
        snprintf(out, PROGRESS_TIME_SIZE, "%.1f s", seconds);
        return out;
    }
    long whole = lround(fmin(seconds, 1e9));
    if (whole < 60) {
        snprintf(out, PROGRESS_TIME_SIZE, "%ld s", whole);
    } else if (whole < 3600) {
        snprintf(out, PROGRESS_TIME_SIZE, "%ld min %ld s", whole / 60, whole % 60);
    } else {
        snprintf(out, PROGRESS_TIME_SIZE, "%ld h %ld min", whole / 3600,
                 whole % 3600 / 60);
    }
    return out;
}

void progress_bar(char *out, size_t width, double fraction)
{
    size_t filled = (size_t)(fmin(fmax(fraction, 0), 1) * (double)width);
    memset(out, '#', filled);
    memset(out + filled, '-', width - filled);
    out[width] = '\0';
}

void progress_describe(char out[static PROGRESS_TEXT_SIZE],
                       const struct deepsad_progress *now)
{
    char members[48] = "", steps[56] = "", loss[32] = "",
         left[PROGRESS_TIME_SIZE + 16] = "";
    if (now->members > 1) {
        snprintf(members, sizeof members, " %zu/%zu", now->member + 1, now->members);
    }
    if (now->steps > 1) {
        snprintf(steps, sizeof steps, ", %s%zu of %zu", now->epochs ? "epoch " : "step ",
                 now->step, now->steps);
    }
    if (isfinite(now->loss)) {
        snprintf(loss, sizeof loss, ", loss %.4g", now->loss);
    }
    if (isfinite(now->seconds_left)) {
        char time[PROGRESS_TIME_SIZE];
        snprintf(left, sizeof left, ", %s left", progress_time(time, now->seconds_left));
    }
    snprintf(out, PROGRESS_TEXT_SIZE, "%s%s%s%s%s", now->phase, members, steps, loss,
             left);
}

static void draw_bar(struct progress *progress, const struct deepsad_progress *now)
{
    char bar[BAR_CELLS + 1], text[PROGRESS_TEXT_SIZE];
    progress_bar(bar, BAR_CELLS, now->fraction);
    progress_describe(text, now);
    int room = (int)terminal_width(stderr) - BAR_CELLS - 9;
    fprintf(stderr, "\r%s%s%s %3.0f %%  %.*s\033[K", terminal_style(stderr, STYLE_GREEN),
            bar, terminal_style(stderr, STYLE_PLAIN), floor(100 * now->fraction),
            room > 0 ? room : 0, text);
    fflush(stderr);
    progress->drawn = true;
}

static void print_line(const struct deepsad_progress *now)
{
    char text[PROGRESS_TEXT_SIZE];
    progress_describe(text, now);
    fprintf(stderr, "%3.0f %%  %s\n", floor(100 * now->fraction), text);
}

static void print_event(const struct deepsad_progress *now)
{
    terminal_print_json(
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "event", "progress",
                  "phase", now->phase, "member", (json_int_t)now->member + 1, "members",
                  (json_int_t)now->members, "step", (json_int_t)now->step, "steps",
                  (json_int_t)now->steps, "loss", terminal_json_number(now->loss),
                  "fraction", terminal_json_number(now->fraction), "seconds_left",
                  terminal_json_number(now->seconds_left)));
    fflush(stdout);
}

/* Each tenth of the way is shown, whatever the time, but for the bar. */
static bool is_due(struct progress *progress, const struct deepsad_progress *now,
                   double waited)
{
    size_t tenths = (size_t)(now->fraction * 10);
    bool next = tenths > progress->tenths || !isfinite(progress->last);
    progress->tenths = tenths > progress->tenths ? tenths : progress->tenths;
    switch (progress->form) {
    case PROGRESS_BAR:
        return waited >= bar_interval;
    case PROGRESS_JSON:
        return next || waited >= json_interval;
    case PROGRESS_LINES:
        return next;
    }
    return false;
}

static void show(struct progress *progress, const struct deepsad_progress *now)
{
    switch (progress->form) {
    case PROGRESS_BAR:
        draw_bar(progress, now);
        break;
    case PROGRESS_LINES:
        print_line(now);
        break;
    case PROGRESS_JSON:
        print_event(now);
        break;
    }
}

int progress_report(void *closure, const struct deepsad_progress *now)
{
    struct progress *progress = closure;
    double time = clock_monotonic();
    if (is_due(progress, now, time - progress->last)) {
        progress->last = time;
        show(progress, now);
    }
    return stop_wanted() || ferror(stdout) != 0;
}

void progress_end(struct progress *progress)
{
    if (progress->drawn) {
        fprintf(stderr, "\r\033[K");
        fflush(stderr);
        progress->drawn = false;
    }
}
