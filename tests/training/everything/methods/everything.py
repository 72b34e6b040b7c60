"""A method that takes nearly all that the loop offers, to prove it; what it learns is nobody's concern."""

from functools import partial

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from m3hl import nets
from m3hl.methods import method
from m3hl.methods.parts.losses import segmentation_loss
from m3hl.methods.parts.noise import standard_normal
from m3hl.methods.parts.optimization import give_momentum, sgd_update
from m3hl.methods.parts.schedules import gaussian_ramp, warm_up_decay
from m3hl.methods.parts.teacher import update_teacher
from m3hl.methods.update import Update


def network(settings):
    return nets.build(settings.dimensions, len(settings.classes) + 1, settings.channels)


class WarmUp(method.Method):
    """Labeled images alone, with a constant step size; weights are selected with their momentum."""

    stage, keeps_momentum = "warm-up", True

    def __init__(self, settings):
        super().__init__(settings)
        self.unlabeled_batch = 0
        self.student = network(settings)

    @classmethod
    def length(cls, settings):
        return settings.options.warm_up

    def updates(self):
        options = self.options.model_copy(update={"learning_rate_power": None})
        return [sgd_update(self.losses, self.trained(), options)]

    def losses(self, batch):
        return {
            "loss": segmentation_loss(
                self.student(batch.labeled_images).logits, batch.labels, None, "plain", "mean"
            )
        }


class Method(method.Method):
    """Two students learn from a teacher on strong views; a critic tells them apart; by turns they lead."""

    stage = "self-training"

    def __init__(self, settings):
        super().__init__(settings)
        self.first, self.second, self.teacher = (network(settings) for _ in range(3))
        self.teacher.requires_grad_(False)
        self.projection = nn.Linear(settings.channels, 4)
        self.critic = nn.Linear(len(settings.classes) + 1, 2)
        self.register_buffer("prototype", torch.zeros(4))

    def trained(self):
        return [self.first, self.second, self.projection]

    def updates(self):
        adam = torch.optim.Adam(self.critic.parameters(), lr=1e-3)
        return [
            sgd_update(self.losses, self.trained(), self.options),
            Update(self.critic_losses, adam, lambda t, total: 1e-3),
        ]

    def take_over(self, selected, updates):
        ((weights, momentum),) = selected.values()
        for student in (self.first, self.second):
            student.load_state_dict(weights)
            give_momentum(updates, student, momentum)
        self.teacher.load_state_dict(weights)

    def losses(self, batch):
        noise = standard_normal(batch.unlabeled_images, batch.generator())
        strong = batch.unlabeled_images + 0.1 * noise + 0.1 * self.direction(batch.unlabeled_images)
        # In either mode by turns.
        self.teacher.train(batch.iteration % 3 == 0)
        with torch.no_grad():
            target = self.teacher(batch.unlabeled_images).logits.argmax(1)
        loss = partial(segmentation_loss, region=None, dice="plain", reduction="mean")
        supervised = sum(loss(s(batch.labeled_images).logits, batch.labels) for s in (self.first, self.second))
        outputs = [student(strong) for student in (self.first, self.second)]
        weight = gaussian_ramp(batch.iteration, batch.iterations)
        cross = sum(cross_entropy(out.logits, target) for out in outputs)
        feature = self.projection(outputs[0].last_decoder.mean(dim=tuple(range(2, strong.ndim)))).mean(0)
        pull = (feature - self.prototype).square().sum()
        self.prototype.lerp_(feature.detach(), 0.1)
        genuine = torch.ones(len(strong), dtype=torch.long, device=strong.device)
        fooled = cross_entropy(self.critic(self.mean_logits(outputs[0])), genuine)
        total = supervised + weight * (cross + 0.01 * pull + 0.01 * fooled)
        return {"loss": total, "cross": cross, "ramp": torch.tensor(weight)}

    def direction(self, images):
        """Return the sign of the gradient with respect to the images."""
        seen = images.clone().requires_grad_()
        return torch.autograd.grad(self.teacher(seen).logits.square().mean(), seen)[0].sign()

    def critic_losses(self, batch):
        with torch.no_grad():
            outputs = [student(batch.unlabeled_images) for student in (self.first, self.second)]
        logits = [self.critic(self.mean_logits(out)) for out in outputs]
        loss = sum(cross_entropy(x, torch.full_like(x[:, 0], which).long()) for which, x in enumerate(logits))
        return {"loss": loss, "critic": loss}

    def mean_logits(self, output):
        return output.logits.mean(dim=tuple(range(2, output.logits.ndim)))

    def after_step(self, batch):
        update_teacher(
            self.teacher,
            (self.first, self.second)[batch.iteration % 2],
            warm_up_decay(batch.iteration, 0.9),
            buffers=True,
        )

    def results(self):
        return {"both": nets.Ensemble([self.first, self.second]), "second": self.second}

    def networks(self):
        return self.results() | {"teacher": self.teacher}


STAGES = (WarmUp, Method)
