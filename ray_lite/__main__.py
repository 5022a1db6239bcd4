"""`python -m ray_lite X` is `ray-lite X`."""

import sys

from ray_lite.cli.main import main

sys.exit(main())
