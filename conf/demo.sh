#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What `make run` does after the build: trains on Fashion-MNIST and on made-up payments once,
# then serves these models and the shipped one, and prints commands to try. PORT chooses the
# port.
set -eu
cd "$(dirname "$0")/.."

images=/usr/share/datasets/fashion-mnist
run=build/run
models=$run/models
fashion=$models/fashion-mnist
mkdir -p "$models" "$run/state"
# One daemon for one state directory: the daemon inherits the lock.
exec 9>"$run/lock"
if ! flock -n 9; then
    echo "make run runs already, from this directory; end that one first" >&2
    exit 1
fi
cp -Ru models/shuttle "$models"

# T-shirts are normal. Of the other nine classes a few rows are labelled anomalous: 5 % of
# all training rows. The unlabeled rows are T-shirts and nothing else, which calibration
# is told (contamination=0). For images the default network is a LeNet.
if ! build/deepsad inspect "$fashion" >/dev/null 2>&1; then
    rm -f "$run/evaluation.txt"
    echo "Training on Fashion-MNIST: class 0 is normal, 5 % of the rows are labelled anomalies."
    build/deepsad train "$images/train-images-idx3-ubyte.gz" \
        --labels "$images/train-labels-idx1-ubyte.gz" --normal-class 0 \
        --labeled-anomalies 0.05 --set contamination=0 --out "$fashion"
fi
if [ ! -e "$run/evaluation.txt" ]; then
    build/deepsad evaluate "$fashion" "$images/t10k-images-idx3-ubyte.gz" \
        --labels "$images/t10k-labels-idx1-ubyte.gz" --normal-class 0 >"$run/evaluation.tmp"
    mv "$run/evaluation.tmp" "$run/evaluation.txt"
fi
# Two test images as a request, 28 lines of 28 numbers each: an ankle boot (the first) and a
# T-shirt (number 19). And a hundred of them as NumPy would write them, bytes and all.
if [ ! -e "$run/two.json" ]; then
    for image in 0 19; do
        zcat "$images/t10k-images-idx3-ubyte.gz" | tail -c +$((17 + 784 * image)) |
            head -c 784 | od -An -v -tu1 -w28 |
            awk '{ printf "%s", (NR == 1 ? "[[" : ",[")
                   for (i = 1; i <= NF; i++) printf "%s%.4g", (i > 1 ? "," : ""), $i / 255
                   printf "]" } END { print "]" }'
    done | paste -s -d , | sed 's/.*/{"ids": ["ankle-boot", "t-shirt"], "samples": [&]}/' \
        >"$run/two.tmp"
    mv "$run/two.tmp" "$run/two.json"
fi
if [ ! -e "$run/hundred.npy" ]; then
    { printf '\223NUMPY\001\000\166\000%-117s\n' \
        "{'descr': '|u1', 'fortran_order': False, 'shape': (100, 28, 28), }"
      zcat "$images/t10k-images-idx3-ubyte.gz" | tail -c +17 | head -c 78400
    } >"$run/hundred.tmp"
    mv "$run/hundred.tmp" "$run/hundred.npy"
fi

# Payments, nobody's verdict on any: one in fifty is a fraud, three in fifty are large and
# fine. The model starts without labels; verdicts over HTTP teach it the difference.
payments=$models/payments
if ! build/deepsad inspect "$payments" >/dev/null 2>&1; then
    awk 'BEGIN { srand(1); print "amount,hour,attempts,label"
        for (i = 0; i < 3000; i++) { fraud = i % 50 == 0; large = i % 50 % 20 == 1
            print int(exp(3 + 2 * rand() + 3 * large)) "," int(rand() * (fraud ? 6 : 24)) "," \
                int(3 * rand()) + 3 * fraud "," (fraud ? "anomalous" : "normal") } }' \
        >"$run/payments.csv"
    build/deepsad split "$run/payments.csv" --out "$run/payments" --labeled-anomalies 0 \
        --pollution natural >/dev/null
    awk -F, 'NR > 1 { printf "%s[%s,%s,%s]", NR == 2 ? "" : ",", $1, $2, $3 }' \
        "$run/payments/train.csv" | sed 's/.*/{"keep": true, "samples": [&]}/' \
        >"$run/payments.json"
    build/deepsad train "$run/payments/train.csv" --out "$payments" >/dev/null 2>&1
fi
echo "Fashion-MNIST, the 10,000 test images:"
cat "$run/evaluation.txt"

port=${PORT:-8080}
while curl -s -o /dev/null "http://127.0.0.1:$port/"; do
    echo "port $port is taken, trying the next"
    port=$((port + 1))
done
build/deepsadd --listen "127.0.0.1:$port" --models "$models" --state "$run/state" &
daemon=$!
trap 'kill -TERM $daemon 2>/dev/null || :; wait $daemon || :; exit 0' INT TERM
until curl -s -f -o /dev/null "http://127.0.0.1:$port/v2/health/ready"; do
    kill -0 "$daemon" 2>/dev/null || exit 1
    sleep 0.02
done
url=http://127.0.0.1:$port
cat <<END

Serving. Paste these into another terminal; Ctrl-C here stops.

    cd $PWD
    curl -s $url/v1/models

    # two readings of the space shuttle's sensors: a usual one, a rare one
    curl -s $url/v1/models/shuttle/score -H 'Content-Type: application/json' \\
        -d '{"samples": [[50,0,82,0,52,-5,32,30,0], [90,0,82,0,52,-5,-8,30,-20]]}'

    # the same as CSV
    printf '50,0,82,0,52,-5,32,30,0\n' | curl -s $url/v1/models/shuttle/score \\
        -H 'Content-Type: text/csv' --data-binary @-

    # an ankle boot and a T-shirt, for a model that knows T-shirts as normal
    curl -s $url/v1/models/fashion-mnist/score -H 'Content-Type: application/json' \\
        -d @$run/two.json

    # a hundred images as NPY (numpy.save): how many are anomalous; 92 are no T-shirts
    curl -s $url/v1/models/fashion-mnist/score -H 'Content-Type: application/x-npy' \\
        --data-binary @$run/hundred.npy | jq '[.results[] | select(.anomalous)] | length'

    # the network, layer by layer; the representation that it makes of images
    build/deepsad inspect $fashion | sed -n '/^layers of networks/,/^\$/p'
    build/deepsad encode $fashion $run/hundred.npy --output $run/codes.npy

    curl -s $url/v1/models/shuttle
    curl -s $url/metrics

The loop, on payments that nobody has labelled: how good the model is; what it scores is kept;
ten payments that a person should look at; the verdicts (more than two attempts are a fraud);
the retraining that they start; how good it is now. Repeat from the review on.

    model=$url/v1/models/payments
    build/deepsad evaluate $payments $run/payments/test.csv

    curl -s \$model/score -H 'Content-Type: application/json' -d @$run/payments.json |
        jq '.results | length'

    curl -s "\$model/review?limit=10&analyst=me" >$run/review.json
    jq -c '.samples[] | [.features, .why]' $run/review.json

    jq '{labels: [.samples[] | {sample_id, analyst: "me",
        verdict: (if .features.attempts > 2 then "anomalous" else "normal" end)}]}' \\
        $run/review.json | curl -s \$model/labels -H 'Content-Type: application/json' -d @- |
        jq '.labels | length'

    sleep 2; curl -s "\$model/jobs?limit=1" | jq '.jobs[0] | {state, version, reason, seconds}'
    build/deepsad evaluate $payments $run/payments/test.csv

    # and back: version 1 is live, and stays so until released
    curl -s -X POST \$model/versions/1/activate
    curl -s -X POST \$model/release

END
wait "$daemon"
