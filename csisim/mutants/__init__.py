"""Known bugs: each of them is one wrong part, put into the driver by the composition root and nowhere else."""
