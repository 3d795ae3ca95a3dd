"""PPO of Stable-Baselines3 with the behaviour cloning term of equation 1:

    loss = PPO's - bc_weight * mean over a minibatch of demonstrated (s, a) of log pi(a | s)

The term's gradient is added before each optimiser step, to PPO's own: SB3's `train` stays as it is. The rollouts come
from `shard`, so that this class owns no environment.
"""

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.logger import Logger

from casher_training.teacher_policy import policy_options


class NotFinite(RuntimeError):
    """A loss, a gradient or a state was NaN or infinite: says where."""


class PPOBC(PPO):
    """`learn_from` makes one update of a rollout; everything random in it depends on the seed it is given."""

    def __init__(self, config, observation_space, action_space, steps, seed, demonstrations=None):
        """config: TeacherConfig; steps: of one world in one rollout; demonstrations: (states (M, D), actions (M,))."""
        super().__init__(
            "MlpPolicy",
            env=None,
            n_steps=steps,
            batch_size=config.batch_size,
            n_epochs=config.epochs,
            learning_rate=config.learning_rate,
            gamma=config.discount,
            gae_lambda=config.gae_lambda,
            clip_range=config.clip_range,
            ent_coef=config.entropy_weight,
            vf_coef=config.value_weight,
            max_grad_norm=config.gradient_clip,
            policy_kwargs=policy_options(config),
            seed=seed,
            device="cpu",
            _init_setup_model=False,
        )
        self.config = config
        self.observation_space, self.action_space, self.n_envs = observation_space, action_space, config.worlds
        self._setup_model()
        self.set_logger(Logger(None, []))
        self.demonstrations = None
        if demonstrations is not None:
            states, actions = demonstrations
            self.demonstrations = torch.as_tensor(states), torch.as_tensor(actions).long()
            self.fit_features(states)
        self._bc_losses, self._bc_random, self._value_only = [], np.random.default_rng(seed), False
        self.policy.optimizer.register_step_pre_hook(self._before_step)

    @torch.no_grad()
    def fit_features(self, states):
        """Standardise the network's features by those of states (M, D)."""
        self.policy.features_extractor.fit(torch.as_tensor(states))

    def clone(self, steps, seed):
        """`steps` gradient steps of behaviour cloning alone -> mean loss of the last tenth."""
        random, losses = np.random.default_rng((seed, 0)), []
        optimiser = torch.optim.Adam(self.policy.parameters(), lr=1e-3)
        self.policy.set_training_mode(True)
        for step in range(steps):
            for group in optimiser.param_groups:
                group["lr"] = 1e-3 * 0.5 * (1 + np.cos(np.pi * step / steps))
            loss = self._bc_loss(random, 256)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        self.policy.set_training_mode(False)
        self._require_finite({"behaviour cloning loss": losses[-1]})
        return float(np.mean(losses[-max(1, steps // 10) :]))

    def learn_from(self, rollouts, seed, value_only=False):
        """One PPO update of the shares' Rollouts -> {name: number} for the record. NotFinite."""
        self._fill(rollouts)
        # SB3 draws its minibatches from numpy's and torch's own generators.
        np.random.seed(seed % 2**32)  # noqa: NPY002
        torch.manual_seed(seed)
        self._bc_random, self._value_only = np.random.default_rng(seed), value_only
        self._bc_losses = []
        try:
            self.train()
        except ValueError as error:  # what torch's distributions raise about their parameters
            raise NotFinite(f"in the update: {str(error).splitlines()[0][:200]}") from None
        numbers = {name.split("/")[1]: float(value) for name, value in self.logger.name_to_value.items()}
        self.logger.name_to_value.clear()
        if np.isnan(numbers["explained_variance"]):  # undefined while every return is the same
            del numbers["explained_variance"]
        if self._bc_losses:
            numbers["bc_loss"] = float(np.mean(self._bc_losses))
        self._require_finite(numbers)
        for name, parameter in self.policy.named_parameters():
            if not torch.isfinite(parameter).all():
                raise NotFinite(f"the weights {name} are not finite")
        return numbers

    def _fill(self, rollouts):
        buffer = self.rollout_buffer
        buffer.reset()

        def joined(name):
            return np.concatenate([getattr(r, name) for r in rollouts], axis=-1 if name != "states" else 1)

        buffer.observations[:], buffer.actions[:, :, 0] = joined("states"), joined("actions")
        buffer.rewards[:], buffer.episode_starts[:] = joined("rewards"), joined("starts")
        buffer.values[:], buffer.log_probs[:] = joined("values"), joined("log_probs")
        buffer.pos, buffer.full = buffer.buffer_size, True
        for name in ("observations", "rewards", "values", "log_probs"):
            if not np.isfinite(getattr(buffer, name)).all():
                raise NotFinite(f"{name} in the rollout are not finite")
        buffer.compute_returns_and_advantage(torch.as_tensor(joined("last_values")), joined("last_dones"))

    def _bc_loss(self, random, size):
        states, actions = self.demonstrations
        chosen = random.integers(len(actions), size=size)
        return -self.policy.get_distribution(states[chosen]).log_prob(actions[chosen]).mean()

    def _before_step(self, *_):
        """PPO's gradient is there, clipped: take out what must not learn, add the demonstrations'."""
        if self._value_only:
            for part in (self.policy.mlp_extractor.policy_net, self.policy.action_net):
                for parameter in part.parameters():
                    parameter.grad = None
        elif self.demonstrations is not None and self.config.bc_weight > 0:
            loss = self._bc_loss(self._bc_random, self.config.bc_batch)
            (self.config.bc_weight * loss).backward()
            torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
            self._bc_losses.append(loss.item())

    def _require_finite(self, numbers):
        wrong = [f"{name} is {value}" for name, value in numbers.items() if not np.isfinite(value)]
        if wrong:
            raise NotFinite(", ".join(wrong))
