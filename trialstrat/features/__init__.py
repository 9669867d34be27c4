"""From the cohort to a design matrix whose every number was learned on training rows."""

from trialstrat.features.learned import Beside
from trialstrat.features.matrix import FeatureSetChoice, Matrix, build, choose_feature_sets, fit_spec
from trialstrat.features.spec import FeatureSpec

__all__ = ["Beside", "FeatureSetChoice", "FeatureSpec", "Matrix", "build", "choose_feature_sets", "fit_spec"]
