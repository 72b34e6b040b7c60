# Every helper of the workflow: the validated study, paths, and what each rule's code and configuration are.
import gc
import inspect
import os
import sys
from functools import cache
from pathlib import Path

from snakemake import resources as snakemake_resources
from snakemake.exceptions import WorkflowError
from snakemake.settings.types import DeploymentMethod, SharedFSUsage

# A DAG of ten thousand runs is millions of objects that stay: looking through them for garbage again and again takes a
# sixth of the time, and finds nothing.
gc.disable()

ROOT = Path(workflow.basedir).parent
sys.path.insert(0, str(ROOT))
# Jobs find the commands of this Snakemake's environment, also where it is not activated, and run this project's package,
# whichever the environment holds: what they make is recorded as made by it.
os.environ.update(
    PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]),
    PYTHONPATH=os.pathsep.join(
        dict.fromkeys(
            [
                str(ROOT),
                *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)),
            ]
        )
    ),
)

from m3hl.config import methods
from m3hl.config.datasets import describe
from m3hl.config.experiment import parse_config
from m3hl.data.sources import data_folders, own_files
from m3hl.errors import UserError
from m3hl.files.reading import parse_yaml, read_text
from m3hl.orchestration.adopt import Adoption
from m3hl.orchestration.image import container_settings, describe_image, environment
from m3hl.orchestration.own_code import own_code, require_sent
from m3hl.orchestration.plan import write_plan
from m3hl.orchestration.relay import pass_signals_on
from m3hl.provenance import stages
from m3hl.provenance.origin import commit_name

if workflow.is_main_process:
    # For jobs that get this source without its git (workflow/profiles/kubernetes).
    os.environ.update(M3HL_COMMIT=commit_name())
else:
    pass_signals_on()


@cache
def listed(dataset):
    """Return the files of a user's own that a data set is made of."""
    return own_files(STUDY.dataset(dataset))


try:
    for file in workflow.overwrite_configfiles:
        # Of a key that stands there twice Snakemake takes the last and says nothing.
        parse_yaml(read_text(Path(file), "config"), str(file))
    STUDY = parse_config(config)
    # Before any job: a file that is missing for a moment must not cost what has been computed from it.
    DATASETS = sorted({run.dataset for run in STUDY.runs()})
    # A job's process need not see the scans of other data sets.
    if workflow.is_main_process:
        for name in DATASETS:
            listed(name)
        if SharedFSUsage.SOURCES not in workflow.storage_settings.shared_fs_usage:
            require_sent(own_code(STUDY))
except UserError as error:
    raise WorkflowError(str(error)) from None
if not DATASETS:
    raise WorkflowError(
        "config: there are no experiments, so there is nothing to run; add a block"
    )

NAME = r"[A-Za-z0-9][A-Za-z0-9.-]*"
RESULTS = Path("results") / STUDY.name
DATA = RESULTS / "data" / "{dataset}"
RUN = RESULTS / "runs" / "{dataset}" / "{method}" / "labeled-{labeled}" / "seed-{seed}"
PLACE = Path()
if workflow.storage_settings.default_storage_provider == "fs":
    # A pod's own folder goes with it, a checkpoint must not: it lies where the results do.
    PLACE = Path(workflow.storage_settings.default_storage_prefix or "")
WORK = str(PLACE / RESULTS / "work" / RUN.relative_to(RESULTS / "runs"))
if workflow.is_main_process:
    Adoption(RESULTS, STUDY, Path(".snakemake", "metadata")).set_times()
IMAGE = ROOT / "containers" / "m3hl.sif"
ENVIRONMENT = environment()
if DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method:
    try:
        # Snakemake knows the image by its name alone; as a param, other packages in it run everything again.
        image_facts = describe_image(IMAGE)
        ENVIRONMENT = image_facts["environment"]
        os.environ.update(
            container_settings(
                IMAGE,
                image_facts,
                workflow.deployment_settings.apptainer_args,
                [
                    *data_folders(STUDY.dataset(name) for name in DATASETS),
                    *(file.parent for file in own_code(STUDY)),
                    Path("results"),
                ],
            )
        )
    except UserError as error:
        raise WorkflowError(str(error)) from None


def note_study():
    """Leave word of the runs that are planned, for `m3hl status`."""
    try:
        write_plan(STUDY, PLACE / RESULTS)
    except UserError as error:
        raise WorkflowError(str(error)) from None


def every(*names):
    """Return these files of every run."""
    folders = [f"{RESULTS}/{run.path}" for run in STUDY.runs()]
    return [f"{folder}/{name}" for folder in folders for name in names]


def signed(function):
    """Tell Snakemake once which parameters a function has: else it looks at each call, for a tenth of a dry run's time.

    A release that does not ask for it is as slow as without.
    """
    function._overwrite_params = inspect.signature(function).parameters
    return function


if hasattr(snakemake_resources, "Resource"):
    # Each resource of each job is the result of this function of Snakemake's own.
    wrapper = snakemake_resources.Resource.evaluate
    wrapper._overwrite_params = {
        name: parameter
        for name, parameter in inspect.signature(wrapper).parameters.items()
        if name != "self"
    }


@cache
def excerpt(stage, dataset, method):
    return stages.excerpt(STUDY, stage, dataset, method)


@cache
def source(stage, dataset, method):
    return stages.code(STUDY, stage, dataset, method)


def is_3d(w):
    """Return whether a data set is of volumes."""
    return describe(STUDY.dataset(w.dataset)).dimensions == 3


@signed
def gpus(w):
    """Return how many GPUs a training or an evaluation of volumes asks for."""
    return 0 if STUDY.dataset(w.dataset).device == "cpu" else 1


def launcher(w, count):
    """Return how a training is started: of some methods one run can take several GPUs."""
    processes = min(count, methods.processes(STUDY.method(w.method).method))
    if processes > 1:
        return f"torchrun --standalone --nproc-per-node {processes} -m m3hl"
    return "m3hl"


@signed
def gpus_to_evaluate(w):
    """Return how many GPUs an evaluation asks for: slices are segmented on the CPU in a minute or two."""
    return gpus(w) if is_3d(w) else 0


def read_by(stage):
    """Return a function of wildcards: what a stage reads of the configuration."""
    return signed(lambda w: excerpt(stage, w.dataset, w.get("method")))


def code_of(stage):
    """Return a function of wildcards: the digest of the source that a stage runs."""
    return signed(lambda w: source(stage, w.get("dataset"), w.get("method")))
