"""The one way in which a fit trains a denoiser: by itself, or as part of a joint fit (`joint_fit.py`)."""

from oddwave.config import TrainingConfig
from oddwave.detection.job import FitJob
from oddwave.diffusion.schedule import NoiseSchedule
from oddwave.nets.unet import UNet
from oddwave.training.loop import TrainStep, train_ports
from oddwave.training.ports import PortData
from oddwave.training.progress import run_with_progress

__all__ = ["train_denoiser"]


def train_denoiser(
    net: UNet, data: PortData, schedule: NoiseSchedule, config: TrainingConfig, job: FitJob, *, name: str, title: str
) -> TrainStep:
    """Train a denoiser as the job says, leave it ready to score, and say how it went; its model calls it `name`.

    Raises: as `train`.
    """
    if job.trainer is None:
        steps = train_ports(net, [data], schedule, config, checkpoint_dir=job.checkpoint_dir, resume=job.resume)
        last = run_with_progress(steps, title, show=job.show_progress)
    else:
        last = job.trainer(net, data, config, name)
    net.eval()
    return last
