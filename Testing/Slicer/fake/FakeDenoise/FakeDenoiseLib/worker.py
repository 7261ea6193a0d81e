import json
import sys
import time

import numpy as np

src, dst, strength = sys.argv[1], sys.argv[2], float(sys.argv[3])
a = np.load(src)
dt = a.dtype
a = a.astype("float32")
n = max(1, int(strength * 2))
for k in range(n):
    for ax in range(3):
        a = (np.roll(a, 1, ax) + 2 * a + np.roll(a, -1, ax)) / 4
    print("@progress " + json.dumps({"fraction": (k + 1) / n, "text": f"step {k + 1}/{n}"}), flush=True)
    time.sleep(0.15)
np.save(dst, a.astype(dt))
