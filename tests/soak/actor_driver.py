"""The part of a soak driver that creates and calls actors, under the runner's labels.  Neighbour: driver.py."""

import actor_deeds

import ray_lite as ray
from ray_lite.exceptions import RayError, RaySystemError

CLASSES = {False: ray.remote(actor_deeds.Keeper), True: ray.remote(actor_deeds.Hooked)}


class ActorVerbs:
    """Handles by label; the methods without an underscore are verbs."""

    def __init__(self):
        self.actors = {}

    def create(self, label, fails, options, hooked=False):
        """The id of the actor, which may be there already if it has a name. `hooked`: it saves and restores by itself."""
        actor = self.actors[label] = CLASSES[hooked].options(**options).remote(label, fails)
        return actor._ray_actor_id.hex()

    def act(self, method, handle, labels, plain, of):
        """Calls a method."""
        made = getattr(self.actors[handle], method).remote(*plain, *(self.ids[one] for one in of))
        self.ids.update(zip(labels, made if isinstance(made, list) else [made], strict=True))

    def _actor_in(self, word):
        """The actor that a plain argument of a task names, or that argument."""
        return self.actors[word[1]] if isinstance(word, tuple) and word[:1] == ("actor",) else word

    def slay(self, handle):
        """ray_lite.kill."""
        ray.kill(self.actors[handle])

    def forget(self, handles):
        """Drops handles."""
        for handle in handles:
            self.actors.pop(handle, None)

    def histories(self, handles):
        """{handle: ("value", log, pid) or ("raised", type, text)}."""
        return {handle: self._history(self.actors[handle]) for handle in handles}

    def _history(self, actor):
        try:
            return "value", *ray.get(actor.history.remote())
        except RaySystemError:
            raise
        except RayError as error:
            return "raised", type(error).__name__, str(error)

    def save(self, handles):
        """Makes a checkpoint of each; {handle: (type, text)} of those that raised."""
        made = {handle: self.actors[handle].__ray_checkpoint__.remote() for handle in handles}
        raised = {}
        for handle, x in made.items():
            try:
                ray.get(x)
            except RaySystemError:
                raise
            except RayError as error:
                raised[handle] = type(error).__name__, str(error)
        return raised

    def names(self, asked):
        """{name: id of the actor that has it, or None}."""
        found = {}
        for name in asked:
            try:
                found[name] = ray.get_actor(name)._ray_actor_id.hex()
            except ValueError:
                found[name] = None
        return found
