/* SPDX-License-Identifier: Apache-2.0 */
/*
 * systemd's notification protocol, sd_notify(3), over its plain datagram socket: no
 * library is needed to send one line. Without NOTIFY_SOCKET all of it does nothing.
 */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

/* "READY=1", "STOPPING=1", "WATCHDOG=1" */
void notify_send(const char *state);
/* RELOADING=1 with the time, which Type=notify-reload needs; and its end, READY=1. In
 * between the watchdog waits for as long as reading many large models may take. */
void notify_reloading(void);
void notify_reloaded(void);

/* Milliseconds between two WATCHDOG=1, half of what the manager waits; -1 = none. */
int notify_watchdog_interval(void);

#endif
