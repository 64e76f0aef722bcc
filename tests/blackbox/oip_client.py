# SPDX-License-Identifier: Apache-2.0
"""A client of the Open Inference Protocol over REST, written from its specification as
Triton's and KServe's clients are: it knows nothing of the server but the protocol."""
import http.client
import json

import numpy as np

TYPES = {"BOOL": np.bool_, "UINT8": np.uint8, "UINT16": np.uint16, "UINT32": np.uint32,
         "UINT64": np.uint64, "INT8": np.int8, "INT16": np.int16, "INT32": np.int32,
         "INT64": np.int64, "FP16": np.float16, "FP32": np.float32, "FP64": np.float64}
HEADER = "Inference-Header-Content-Length"


class InferenceError(Exception):
    """An answer that is no success: .status, and the protocol's error message."""

    def __init__(self, status, message):
        super().__init__(f"{status}: {message}")
        self.status, self.message = status, message


class Input:
    """A tensor to be sent: `data` as an array of the type, as JSON or as binary data."""

    def __init__(self, name, data, datatype, binary=True, shape=None):
        self.name, self.datatype = name, datatype
        self.data = np.asarray(data, TYPES[datatype])
        self.shape = list(self.data.shape) if shape is None else shape
        self.binary = binary

    def describe(self):
        tensor = {"name": self.name, "shape": self.shape, "datatype": self.datatype}
        if self.binary:
            tensor["parameters"] = {"binary_data_size": len(self.bytes())}
        else:
            tensor["data"] = self.data.ravel().tolist()
        return tensor

    def bytes(self):
        return self.data.astype(self.data.dtype.newbyteorder("<")).tobytes()


class Client:
    """Keeps one connection open."""

    def __init__(self, host, port):
        self.connection = http.client.HTTPConnection(host, port, timeout=60)

    def call(self, method, path, body=None, headers=None):
        """(status, headers, body)"""
        self.connection.request(method, path, body=body, headers=headers or {})
        answer = self.connection.getresponse()
        return answer.status, answer.headers, answer.read()

    def json(self, method, path, body=None):
        status, _, text = self.call(method, path, body)
        if status != 200:
            raise InferenceError(status, json.loads(text)["error"])
        return json.loads(text) if text else None

    def is_server_live(self):
        return self.call("GET", "/v2/health/live")[0] == 200

    def is_server_ready(self):
        return self.call("GET", "/v2/health/ready")[0] == 200

    @staticmethod
    def path(model, version, tail=""):
        return f"/v2/models/{model}" + (f"/versions/{version}" if version else "") + tail

    def is_model_ready(self, model, version=None):
        return self.call("GET", self.path(model, version, "/ready"))[0] == 200

    def server_metadata(self):
        return self.json("GET", "/v2")

    def model_metadata(self, model, version=None):
        return self.json("GET", self.path(model, version))

    def statistics(self, model="", version=None):
        return self.json("GET", self.path(model, version, "/stats") if model
                         else "/v2/models/stats")

    def repository_index(self, **body):
        return self.json("POST", "/v2/repository/index", json.dumps(body) if body else "")

    def load_model(self, model):
        return self.json("POST", f"/v2/repository/models/{model}/load", "{}")

    def unload_model(self, model):
        return self.json("POST", f"/v2/repository/models/{model}/unload", "{}")

    def infer(self, model, inputs, version=None, outputs=None, **members):
        """(the answer's JSON, {output: array})"""
        request = {"inputs": [one.describe() for one in inputs], **members}
        if outputs is not None:
            request["outputs"] = outputs
        text = json.dumps(request).encode()
        binary = b"".join(one.bytes() for one in inputs if one.binary)
        headers = {HEADER: str(len(text))} if any(one.binary for one in inputs) else {}
        status, fields, body = self.call("POST", self.path(model, version, "/infer"),
                                         text + binary, headers)
        return self.read(status, fields, body)

    def infer_raw(self, model, data):
        """A raw binary request: the body is the only input's tensor, no JSON."""
        status, fields, body = self.call("POST", self.path(model, None, "/infer"), data,
                                         {HEADER: "0"})
        return self.read(status, fields, body)

    @staticmethod
    def read(status, fields, body):
        if status != 200:
            raise InferenceError(status, json.loads(body)["error"])
        size = int(fields[HEADER]) if HEADER in fields else len(body)
        answer, rest, arrays = json.loads(body[:size]), body[size:], {}
        for output in answer["outputs"]:
            dtype, shape = TYPES[output["datatype"]], output["shape"]
            if "data" in output:
                array = np.array(output["data"], dtype)
            else:
                taken = output["parameters"]["binary_data_size"]
                array, rest = np.frombuffer(rest[:taken], dtype), rest[taken:]
            arrays[output["name"]] = array.reshape(shape)
        assert rest == b"", "bytes behind the last tensor"
        return answer, arrays
