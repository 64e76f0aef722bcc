#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""FastAPI as its tutorial has it: models of pydantic in and out. usage: PORT NAME=WIDTHS ..."""
import sys
from typing import List

import fastapi
import network
import pydantic
import torch
import uvicorn

MODELS = network.parse(sys.argv[2:])
app = fastapi.FastAPI()


class Samples(pydantic.BaseModel):
    samples: List[List[float]]


class Scores(pydantic.BaseModel):
    scores: List[float]


@app.post("/{name}/json", response_model=Scores)
async def score(name: str, body: Samples):
    scores = network.distances(MODELS[name], torch.tensor(body.samples))
    return Scores(scores=scores.tolist())


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False,
            log_level="warning", timeout_keep_alive=600)
