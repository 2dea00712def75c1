/* For now: what a plug-in reads of its pipeline. */
#ifndef ODS_PIPELINE_H
#define ODS_PIPELINE_H
#include "config/settings.h"
#endif
