"""What an array of numbers is called in a signature; apart, because numpy is a tenth of a second for whoever only plans."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
