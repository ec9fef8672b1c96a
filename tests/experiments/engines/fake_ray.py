"""A Ray without processes: a task runs when the study waits for it."""

from types import SimpleNamespace


class RayError(Exception):
    pass


class RayTaskError(RayError):
    def __init__(self, cause):
        super().__init__(str(cause))
        self.cause = cause


class WorkerCrashedError(RayError):
    pass


class LocalRayletDiedError(RayError):
    pass


class Call:
    """A call of a task or of an actor's method, and its reference."""

    def __init__(self, function, arguments):
        self.function, self.arguments, self.cancelled = function, arguments, None

    def run(self):
        return self.function(*self.arguments)


class Remote:
    def __init__(self, wrapped):
        self._wrapped = wrapped

    def remote(self, *arguments):
        if isinstance(self._wrapped, type):
            return Actor(self._wrapped(*arguments))
        return Call(self._wrapped, arguments)


class Actor:
    def __init__(self, own):
        self._own = own

    def __getattr__(self, name):
        method = getattr(self._own, name)
        if name == "put":
            return SimpleNamespace(remote=method)
        return Remote(method)


class FakeRay:
    """Records the options of tasks, and which were waited for and cancelled."""

    exceptions = SimpleNamespace(
        RayError=RayError, RayTaskError=RayTaskError, LocalRayletDiedError=LocalRayletDiedError
    )

    def __init__(self):
        self.options, self.most_at_once, self.cancelled, self.waited = [], 0, [], []

    def remote(self, **options):
        self.options.append(options)
        return Remote

    def wait(self, refs, timeout=None, num_returns=1):
        self.most_at_once = max(self.most_at_once, len(refs))
        self.waited += refs if num_returns > 1 or refs[0] in self.cancelled else []
        return refs[:1], refs[1:]

    def get(self, ref, timeout=None):
        return ref.run()

    def cancel(self, ref, force=False):
        self.cancelled.append(ref)
