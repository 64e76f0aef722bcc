#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""FastAPI at its leanest: uvicorn with uvloop and httptools, the raw body, the fastest JSON
module that Debian has, numpy, PyTorch with one thread. usage: PORT NAME=WIDTHS ..."""
import sys

import fastapi
import network
import numpy as np
import torch
import uvicorn

try:
    import orjson as codec
    loads, dumps = codec.loads, codec.dumps
except ImportError:
    import ujson
    loads, dumps = ujson.loads, lambda value: ujson.dumps(value).encode()

MODELS = network.parse(sys.argv[2:])
app = fastapi.FastAPI()


@app.post("/{name}/json")
async def score_json(name: str, request: fastapi.Request):
    x = np.array(loads(await request.body())["samples"], np.float32)
    scores = network.distances(MODELS[name], torch.from_numpy(x))
    return fastapi.Response(dumps({"scores": scores.tolist()}), media_type="application/json")


@app.post("/{name}/raw")
async def score_raw(name: str, request: fastapi.Request):
    body = await request.body()
    features = int(app.state.features[name])
    x = torch.frombuffer(bytearray(body), dtype=torch.float32).reshape(-1, features)
    scores = network.distances(MODELS[name], x)
    return fastapi.Response(scores.numpy().tobytes(), media_type="application/octet-stream")


app.state.features = {w.split("=")[0]: w.split("=")[1].split("-")[0] for w in sys.argv[2:]}
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), loop="uvloop", http="httptools",
            access_log=False, log_level="warning", timeout_keep_alive=600)
