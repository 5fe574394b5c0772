"""How a simulated run ends when the program, or the world around it, does what cannot be simulated."""


class SimulationError(Exception):
    """Base of the errors of the simulation itself."""


class EscapedSimulation(SimulationError):
    """The program reached for something outside: a thread, a real socket, a real process, a real wait.

    The run fails with it even where the program caught it: what comes after would not repeat.
    """


class Deadlock(SimulationError):
    """Nothing can run any more, and tasks still wait. The text lists each with its await stack and what it waits on."""


class Livelock(SimulationError):
    """Steps go on and on while virtual time stands still. The text names the last ones."""


class Diverged(SimulationError):
    """A program did not do the same again up to the same moment: it depends on something beside seed and schedule."""
