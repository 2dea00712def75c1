/* A signal handler can reach the rest of the program only by a global variable. */
#include "cli/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include "pipeline/worker.h"

static volatile sig_atomic_t came;

static void take(int number)
{
    if (came)
        _exit(128 + number);
    came = number;
}

void interrupt_catch(void)
{
    struct sigaction action = {.sa_handler = take}; /* without SA_RESTART: waits end early */
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool interrupt_came(void)
{
    return came;
}

int interrupt_code(void)
{
    return came ? 128 + came : 0;
}

bool interrupt_deadline_wait(void *deadline, struct error *error)
{
    return !came && worker_deadline_wait(deadline, error) && !came;
}
