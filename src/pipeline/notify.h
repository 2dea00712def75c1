/* sd_notify(3)'s protocol: one datagram to the socket that systemd names. Main thread. */
#ifndef NOTIFY_H
#define NOTIFY_H

#include <stdint.h>

/* Lines as in sd_notify(3), "READY=1\nSTATUS=…". Nothing happens when no socket is named. */
void notify_send(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* How often systemd wants to hear of us, 0: not at all. */
int64_t notify_watchdog_us(void);

#endif
