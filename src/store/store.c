/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <stdlib.h>

void store_samples_done(struct store_samples *samples)
{
    free(samples->samples);
    free(samples->x);
    *samples = (struct store_samples){0};
}

void store_label_done(struct store_label *label)
{
    free(label->analyst);
    free(label->reason);
    free(label->note);
    free(label->quarantine);
    *label = (struct store_label){0};
}

void store_labels_done(struct store_labels *labels)
{
    for (size_t i = 0; i < labels->count; i++) {
        store_label_done(&labels->labels[i]);
    }
    free(labels->labels);
    free(labels->x);
    *labels = (struct store_labels){0};
}

void store_job_done(struct store_job *job)
{
    free(job->detail);
    job->detail = NULL;
}

void store_jobs_done(struct store_jobs *jobs)
{
    for (size_t i = 0; i < jobs->count; i++) {
        store_job_done(&jobs->jobs[i]);
    }
    free(jobs->jobs);
    *jobs = (struct store_jobs){0};
}
