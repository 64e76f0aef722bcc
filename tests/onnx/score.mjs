// SPDX-License-Identifier: Apache-2.0
// Scores float32 rows with an ONNX model in onnxruntime, one thread:
//     node score.mjs RUNTIME-FOLDER MODEL.onnx ROWS.f32 FEATURES OUT.f32
// OUT: all scores, then all p-values. Prints nanoseconds a row at 1000 rows a call.
import fs from "node:fs";
import { createRequire } from "node:module";

const [folder, model, input, features, output] = process.argv.slice(2);
const ort = createRequire(folder + "/")("onnxruntime-node");
const session = await ort.InferenceSession.create(model, {
    intraOpNumThreads: 1, interOpNumThreads: 1, graphOptimizationLevel: "all",
});
const bytes = fs.readFileSync(input);
const x = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
const rows = x.length / features;
const out = new Float32Array(2 * rows);
let took = 0, timed = 0;
for (let at = 0; at < rows; at += 1000) {
    const count = Math.min(1000, rows - at);
    const part = x.subarray(at * features, (at + count) * features);
    const start = process.hrtime.bigint();
    const got = await session.run({ input: new ort.Tensor("float32", part, [count, +features]) });
    if (at > 0 || rows <= 1000) {
        took += Number(process.hrtime.bigint() - start);
        timed += count;
    }
    out.set(got.score.data, at);
    out.set(got.p_value.data, rows + at);
}
fs.writeFileSync(output, new Uint8Array(out.buffer));
console.log(took / timed);
