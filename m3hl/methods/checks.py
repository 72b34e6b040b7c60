"""What a method must keep to; whatever does not is one line that names the method, and what to do."""

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from m3hl.errors import UserError
from m3hl.inference.weights import members, require_fitting
from m3hl.methods.method import Method
from m3hl.methods.update import Update


def check_results(method: Method) -> None:
    """Raise `UserError` unless a method has losses and results, and these are networks that can be saved."""
    kind = type(method)
    if kind.losses is Method.losses and kind.updates is Method.updates:
        raise mistake(method, "it has no losses(batch)")
    if kind.results is Method.results and not isinstance(getattr(method, "student", None), nn.Module):
        raise mistake(method, "it has no network; set self.student in __init__")
    results = method.results()
    if not isinstance(results, Mapping) or not results:
        raise mistake(method, "results() must return networks by name")
    for name, network in results.items():
        try:
            require_fitting(method.settings, network.state_dict(), members(network))
        except ValueError as error:
            raise mistake(method, f"result {name!r}: {error}; make it by self.new_network()") from error


def check_updates(method: Method, updates: Iterable[Update]) -> None:
    """Raise `UserError` where a parameter is forgotten: by the optimisers, or by the checkpoints."""
    stepped = {id(p) for update in updates for group in update.optimizer.param_groups for p in group["params"]}
    named = dict(method.named_parameters())
    if stepped - {id(parameter) for parameter in named.values()}:
        raise mistake(
            method,
            "an optimizer has a parameter that no checkpoint would hold; keep what is trained as an attribute of "
            "the method, several parts in an nn.ModuleList",
        )
    if idle := [name for name, p in named.items() if p.requires_grad and id(p) not in stepped]:
        more = f" (and {len(idle) - 1} more)" if len(idle) > 1 else ""
        raise mistake(
            method,
            f"no update trains the parameter {idle[0]}{more}; return its module in trained(), or say "
            "requires_grad_(False)",
        )


def check_losses(method: Method, losses: object) -> None:
    """Raise `UserError` unless losses are scalars by name, and "loss" can be minimised; no GPU is waited for."""
    if not isinstance(losses, Mapping) or "loss" not in losses:
        found = f"of {', '.join(map(repr, losses)) or 'nothing'}" if isinstance(losses, Mapping) else repr(losses)
        raise mistake(method, f'losses(batch) must return a dict with "loss", not {found:.80}')
    for name, value in losses.items():
        if not isinstance(value, Tensor) or value.shape:
            what = f"of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
            raise mistake(method, f"{name!r} must be a tensor of one number, without axes, and is {what}")
    if not losses["loss"].requires_grad:
        raise mistake(method, "the loss depends on no parameter, so there is nothing to learn; is it detached?")


def check_labels(method: Method, labels: Tensor, images: Tensor) -> None:
    """Raise `UserError` unless pseudo-labels are one class for each voxel of images (B, C, *)."""
    shape = (len(images), *images.shape[2:])
    if tuple(labels.shape) != shape:
        raise mistake(method, f"pseudo_labels must return {shape} for these images, not {tuple(labels.shape)}")


def mistake(method: Method, problem: str) -> UserError:
    """Return the error of a method."""
    return UserError(f"method {method.settings.method}: {problem}")
