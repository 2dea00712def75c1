/* Checks that need more than one setting: names that must agree or differ, patterns,
 * contradictions. */
#ifndef VALIDATE_H
#define VALIDATE_H

#include "config/node.h"
#include "config/settings.h"

/* Fills in inherited settings (lanes, group_id, target), then checks. The nodes are those that the
 * settings were parsed from; one is NULL if its file could not be read. */
void validate_settings(struct load *load, const struct node *daemon, const struct node *moves,
                       struct settings *settings);
/* Reads the public key of dead letters, and warns where redacted columns stand in letters that are
 * not encrypted. */
void validate_letters(struct load *load, const struct node *daemon,
                      const struct settings *settings);

#endif
