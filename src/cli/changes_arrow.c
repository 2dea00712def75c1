/* Changes as a stream of Arrow's IPC format. See changes.h. */
#include <stdio.h>

#include <ods/lake.h>

#include "cli/changes.h"
#include "cli/interrupt.h"

int changes_arrow(struct lake_reader *reader, bool *printed, struct error *error)
{
    const uint8_t *bytes;
    size_t size = 0;
    enum ods_status status = ODS_OK;
    while (!interrupt_came() &&
           (status = lake_reader_next_arrow(reader, &bytes, &size, error)) == ODS_OK && size) {
        *printed = true;
        if (fwrite(bytes, 1, size, stdout) != size)
            return CLI_INTERNAL;
    }
    fflush(stdout);
    return status == ODS_OK ? CLI_OK : CLI_TARGET;
}

/* Readers that follow a stream end by it and not by a broken pipe. */
void changes_arrow_end(void)
{
    fwrite(ODS_LAKE_ARROW_END, 1, sizeof ODS_LAKE_ARROW_END, stdout);
}
