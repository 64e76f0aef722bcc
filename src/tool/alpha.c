/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/alpha.h"

#include <math.h>

#include "tool/terminal.h"

double alpha_resolve(const struct deepsad_model *model, double given)
{
    double alpha = isnan(given) ? deepsad_model_alpha(model) : given;
    double least = deepsad_model_alpha_min(model);
    if (least > alpha) {
        terminal_warning("no row can be called anomalous: the calibration reaches alpha "
                         "%.3g at best, and %g is wanted",
                         least, alpha);
    }
    return alpha;
}
