"""From a cohort to a design matrix that carries the fitted specification that made it."""
