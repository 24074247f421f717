"""Training of one architecture: recipes, the loop, checkpoints, the evaluator of a search, retraining. No Ray."""

from typing import TYPE_CHECKING

from senas.lazy import export_lazily

if TYPE_CHECKING:
    from senas.training.data.dataset import Dataset as Dataset
    from senas.training.data.description import DataDescription as DataDescription
    from senas.training.data.inspection import describe_data as describe_data
    from senas.training.data.loading import Loading as Loading
    from senas.training.data.loading import LoadingPlan as LoadingPlan
    from senas.training.data.loading import plan_loading as plan_loading
    from senas.training.data.sources import DIGITS as DIGITS
    from senas.training.data.sources import load_data as load_data
    from senas.training.data.split import Split as Split
    from senas.training.data.statistics import pixel_statistics as pixel_statistics
    from senas.training.evaluator import Evaluate as Evaluate
    from senas.training.evaluator import TrainingEvaluator as TrainingEvaluator
    from senas.training.exporting import ExportReport as ExportReport
    from senas.training.exporting import export_network as export_network
    from senas.training.loop import TrainingPosition as TrainingPosition
    from senas.training.recipe import Recipe as Recipe
    from senas.training.retraining import CHECKPOINT_FILE as CHECKPOINT_FILE
    from senas.training.retraining import retrain as retrain
    from senas.training.trained import TrainedNetwork as TrainedNetwork
    from senas.training.trained import load_network as load_network

export_lazily(globals())
