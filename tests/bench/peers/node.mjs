// SPDX-License-Identifier: Apache-2.0
// What a Node.js user would write: node:http and onnxruntime-node, one thread.
//     node node.mjs RUNTIME-FOLDER NAME=MODEL.onnx:FEATURES ...
// POST /NAME/json {"samples": [[...], ...]} or /NAME/raw (float32). Prints its port.
import http from "node:http";
import { createRequire } from "node:module";

const [folder, ...models] = process.argv.slice(2);
const ort = createRequire(folder + "/")("onnxruntime-node");
const sessions = {};
for (const model of models) {
    const [, name, path, features] = model.match(/^(\w+)=(.*):(\d+)$/);
    sessions[name] = {
        features: +features,
        session: await ort.InferenceSession.create(path, {
            intraOpNumThreads: 1, interOpNumThreads: 1, graphOptimizationLevel: "all",
        }),
    };
}

function flatten(samples, features) {
    const x = new Float32Array(samples.length * features);
    for (let i = 0, at = 0; i < samples.length; i++) {
        const row = samples[i];
        for (let j = 0; j < features; j++) x[at++] = row[j];
    }
    return x;
}

const server = http.createServer((request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", async () => {
        const [, name, format] = request.url.split("/");
        const { session, features } = sessions[name];
        const body = Buffer.concat(chunks);
        const x = format === "raw"
            ? new Float32Array(body.buffer.slice(body.byteOffset, body.byteOffset + body.length))
            : flatten(JSON.parse(body).samples, features);
        const rows = x.length / features;
        const got = await session.run({ input: new ort.Tensor("float32", x, [rows, features]) });
        if (format === "raw") {
            const out = got.score.data;
            const bytes = Buffer.from(out.buffer, out.byteOffset, out.byteLength);
            response.writeHead(200, { "Content-Type": "application/octet-stream",
                                      "Content-Length": bytes.length });
            response.end(bytes);
        } else {
            const text = JSON.stringify({ scores: Array.from(got.score.data),
                                          p_values: Array.from(got.p_value.data) });
            response.writeHead(200, { "Content-Type": "application/json",
                                      "Content-Length": Buffer.byteLength(text) });
            response.end(text);
        }
    });
});
server.keepAliveTimeout = 600000;
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
