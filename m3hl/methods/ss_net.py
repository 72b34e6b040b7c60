"""SS-Net: smoothness by adversarial noise, separation by prototypes (Wu et al., MICCAI 2022)."""

import torch
from torch import Tensor, nn

from m3hl import nets
from m3hl.config.run import RunSettings
from m3hl.data.batches import Batch
from m3hl.methods import method
from m3hl.methods.parts import noise
from m3hl.methods.parts.adversarial import direction, untracked
from m3hl.methods.parts.losses import dice_loss, foreground_dice, single, soft_dice
from m3hl.methods.parts.prototypes import Prototypes
from m3hl.methods.parts.schedules import ramp_of_run


class Method(method.Method):
    """A network that shall not change its mind for a little noise, and whose features gather around prototypes."""

    def __init__(self, settings: RunSettings) -> None:
        super().__init__(settings)
        classes = len(settings.classes) + 1
        self.student = nets.build(**settings.network)
        self.prototypes = Prototypes(settings.channels, classes)

    def trained(self) -> list[nn.Module]:
        """Return the network and the prototypes' heads, which are neither validated nor exported."""
        return [self.student, self.prototypes]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return L = L_sup + w(t) · (L_vat + 0.1 (L_cl,l + L_cl,u))."""
        options, labeled = self.options, len(batch.labels)
        images = torch.cat([batch.labeled_images, batch.unlabeled_images])
        out = self.student(images)
        logits = single(out.logits)
        p, predicted = logits.softmax(1), logits.argmax(1)
        supervised = self.supervised_loss(p[:labeled], batch.labels)
        with torch.autocast(images.device.type, enabled=False):
            pulls = self.pulls(single(out.head_input), batch.labels, predicted)
        adversarial = self.adversarial_loss(images, batch.generator())
        ramp = ramp_of_run(batch, options.ramp_length, options.ramp_step, options.ramp_start)
        weight = options.weight * ramp
        loss = supervised + weight * (adversarial + options.pull_weight * (pulls[0] + pulls[1]))
        return {
            "loss": loss,
            "supervised": supervised,
            "adversarial": adversarial,
            "pull_labeled": pulls[0],
            "pull_unlabeled": pulls[1],
            "weight": torch.full_like(loss, weight),
            "prototypes": self.prototypes.count[1:].mean(),
        }

    def supervised_loss(self, p: Tensor, labels: Tensor) -> Tensor:
        """Return L_sup of labeled samples, Dice alone, sums over voxels and samples together.

        "squared" is the mean over all classes of 1 − (2 Σ p y + ε) / (Σ p² + Σ y + ε), ε = 1e-10; "plain" the mean
        over foreground classes of 1 − (2 Σ p y + ε) / (Σ p + Σ y + ε), ε = 1e-8.
        """
        if self.options.dice == "squared":
            return dice_loss(p, labels, torch.ones_like(labels, dtype=p.dtype), "squared")
        return foreground_dice(p, labels)

    def pulls(self, features: Tensor, labels: Tensor, predicted: Tensor) -> tuple[Tensor, Tensor]:
        """Return L_cl,l and L_cl,u; before them the memory takes over features of labeled voxels that are right.

        Args:
            features: (B, n, *), what the head reads, of labeled and then unlabeled samples.
            labels: (B_l, *), the class of labeled voxels.
            predicted: (B, *), that of unlabeled ones, of the same pass.
        """
        count, heads = len(labels), self.prototypes
        rows_l, rows_u = (rows_of(part) for part in (features[:count], features[count:]))
        right = torch.where(predicted[:count] == labels, labels, 0).flatten()
        heads.remember(rows_l.detach(), right, heads.projection)
        return heads.pull(rows_l, labels.flatten()), heads.pull(rows_u, predicted[count:].flatten())

    def adversarial_loss(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return L_vat = D(softmax f(x + ε d), softmax f(x)) on all images, d being where D grows fastest.

        Each pass has dropout of its own. The target's moves the running statistics, those of noisy images do not.
        """
        with torch.no_grad():
            target = self.probability(images)
        start = noise.uniform(images, generator) - 0.5
        with untracked(self.student):

            def moved(change: Tensor) -> Tensor:
                return self.distance(self.probability(images + change), target)

            return moved(self.options.radius * direction(moved, start, self.options.probe))

    def probability(self, images: Tensor) -> Tensor:
        """Return softmax f(x), (B, C, *)."""
        return single(self.student(images).logits).softmax(1)

    def distance(self, p: Tensor, target: Tensor) -> Tensor:
        """Return D(p, t), a Dice loss of two probabilities (B, C, *).

        "squared" is the mean over all classes, with Σ p² + Σ t² and ε = 1e-10. "plain" is one ratio over all of
        them together, with Σ p + Σ t and ε = 1e-8: it is 1 − the mean over voxels of Σ_c p_c t_c, and least where
        both are sure.
        """
        if self.options.dice == "squared":
            return 1 - soft_dice(p, target, power=2, epsilon=1e-10).mean()
        p, target = (each.flatten(1).unsqueeze(1) for each in (p, target))
        return 1 - soft_dice(p, target, power=1, epsilon=1e-8).mean()


def rows_of(features: Tensor) -> Tensor:
    """Return features (B, n, *) as rows (voxels, n), sample after sample."""
    return features.movedim(1, -1).reshape(-1, features.shape[1])
