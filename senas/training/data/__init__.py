"""Labelled images: where they come from, their splits, and augmentation."""

from typing import TYPE_CHECKING

from senas.lazy import export_lazily

if TYPE_CHECKING:
    from senas.training.data.augmentation import augment as augment
    from senas.training.data.dataset import Dataset as Dataset
    from senas.training.data.description import DataDescription as DataDescription
    from senas.training.data.images import DRAFT as DRAFT
    from senas.training.data.images import decode_image as decode_image
    from senas.training.data.images import pixels_of as pixels_of
    from senas.training.data.inspection import describe_data as describe_data
    from senas.training.data.loading import Loading as Loading
    from senas.training.data.loading import LoadingPlan as LoadingPlan
    from senas.training.data.loading import plan_loading as plan_loading
    from senas.training.data.sources import DIGITS as DIGITS
    from senas.training.data.sources import DataFunction as DataFunction
    from senas.training.data.sources import load_data as load_data
    from senas.training.data.sources import located as located
    from senas.training.data.split import Split as Split
    from senas.training.data.statistics import pixel_statistics as pixel_statistics
    from senas.training.data.streaming import naming_lost_processes as naming_lost_processes

export_lazily(globals())
