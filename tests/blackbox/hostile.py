# SPDX-License-Identifier: Apache-2.0
"""A seeded generator of requests that a scoring endpoint must refuse: each is one (kind,
headers, body) whose answer must be a 4xx problem that names the place."""
import json
import random

NAMES = ["f0", "f1", "f2", "f3", "f4"]
JSON = {"Content-Type": "application/json"}
CSV = {"Content-Type": "text/csv"}
# Not JSON values, wherever one is expected. None may start or end with a part of one.
JUNK = ["+1", "01", "1.", ".5", "1e", "0x10", "--1", "1_000", "'1'", "nul", "True", "None",
        "undefined", "1 2", "@", "\\u0031", "/*1*/1", "\x00", "\x1b", "\u00a0"]
NOT_FINITE = ["NaN", "Infinity", "-Infinity", "1e39", "-3.5e38", "1e400", "9" * 60 + "e9"]
WRONG_CELLS = ['"1"', '""', "true", "false", "[]", "{}", "[1]", '{"a":1}']
WRONG_ROWS = ["1", '"row"', "null", "true", "-0.0"]
BAD_UTF8 = [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80"]
BAD_ESCAPES = ["\\x", "\\u12", "\\ud800", "\\udc00", "\\ud800\\u0041", "\\u0000", "\\"]
BAD_IDS = ["", "a b", "a/b", "x" * 65, "\u00e9", "a\\nb", "<script>"]


class Hostile:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.kinds = [getattr(self, name) for name in dir(type(self))
                      if name.startswith(("json_", "csv_", "head_"))]

    def __iter__(self):
        return self

    def __next__(self):
        make = self.random.choice(self.kinds)
        headers, body = make()
        if isinstance(body, str):
            body = body.encode("utf-8", "surrogatepass")
        return make.__name__, headers, body

    # ---- Valid parts, to be spoiled ----

    def number(self):
        return self.random.choice([str(self.random.randint(-9, 9)), "null",
                                   f"{self.random.gauss(0, 100):.6g}"])

    def cells(self, count=5):
        return [self.number() for _ in range(count)]

    def row(self):
        if self.random.random() < 0.3:
            return "{" + ",".join(f'"{n}":{v}' for n, v in zip(NAMES, self.cells())) + "}"
        return "[" + ",".join(self.cells()) + "]"

    def body(self, rows=None, rest=""):
        rows = [self.row() for _ in range(self.random.randint(1, 6))] if rows is None else rows
        space = self.random.choice(["", " ", "\n", "\r\n\t"])
        return "{" + space + '"samples":' + space + "[" + ("," + space).join(rows) + "]" + rest \
            + space + "}"

    def with_row(self, row):
        """A body in which this row stands among good ones."""
        rows = [self.row() for _ in range(self.random.randint(0, 4))]
        rows.insert(self.random.randint(0, len(rows)), row)
        return self.body(rows)

    def with_cell(self, cell):
        cells = self.cells()
        cells[self.random.randrange(5)] = cell
        return self.with_row("[" + ",".join(cells) + "]")

    # ---- Not JSON ----

    def json_truncated(self):
        text = self.body()
        return JSON, text[:self.random.randrange(len(text))]

    def json_garbage(self):
        return JSON, b"\x01" + self.random.randbytes(self.random.randint(0, 400))

    def json_trailing(self):
        return JSON, self.body() + self.random.choice(["}", "]", "x", "{}", ",", "1", "\x00"])

    def json_junk_cell(self):
        return JSON, self.with_cell(self.random.choice(JUNK))

    def json_lost_mark(self):
        """One mark taken out of an array of arrays: never JSON again."""
        text = self.body(["[1,2,3,4,5]", "[5,4,3,2,1]"])
        marks = [i for i, c in enumerate(text) if c in '[]{}:"']
        at = self.random.choice(marks)
        return JSON, text[:at] + text[at + 1:]

    def json_trailing_comma(self):
        return JSON, self.with_row(self.random.choice(["[1,2,3,4,5,]", '{"f0":1,}', "[,]"]))

    def json_bad_utf8(self):
        return JSON, b'{"samples": [{"' + self.random.choice(BAD_UTF8) + b'": 1}]}'

    def json_bad_escape(self):
        return JSON, self.with_row('{"f0' + self.random.choice(BAD_ESCAPES) + '": 1}')

    def json_control(self):
        return JSON, self.with_row('{"f' + chr(self.random.randrange(32)) + '": 1}')

    def json_nul(self):
        text = self.body()
        at = self.random.randrange(len(text))
        return JSON, text[:at] + "\x00" + text[at:]

    def json_byte_order_mark(self):
        return JSON, b"\xef\xbb\xbf" + self.body().encode()

    def json_utf16(self):
        return JSON, self.body().encode("utf-16")

    def json_empty(self):
        return JSON, " " * self.random.randint(0, 5)

    # ---- JSON, but no scoring request ----

    def json_deep(self):
        depth = self.random.choice([3, 50, 2000, 20000])
        mark = self.random.choice(["[", '{"samples":', '{"a":'])
        return JSON, self.random.choice(["", '{"samples":[']) + mark * depth

    def json_not_an_object(self):
        return JSON, self.random.choice(["[]", "1", '"samples"', "null", "[[1,2,3,4,5]]", "{}",
                                         '{"instances":[]}', '{"samples":[]}'])

    def json_wrong_samples(self):
        wrong = self.random.choice(WRONG_ROWS + ["{}", '{"f0":1}', '[[1,2,3,4,5],null]'])
        return JSON, '{"samples":' + wrong + "}"

    def json_wrong_row(self):
        return JSON, self.with_row(self.random.choice(WRONG_ROWS))

    def json_wrong_cell(self):
        return JSON, self.with_cell(self.random.choice(WRONG_CELLS))

    def json_not_finite(self):
        return JSON, self.with_cell(self.random.choice(NOT_FINITE))

    def json_wrong_width(self):
        width = self.random.choice([0, 1, 4, 6, 7, 500])
        return JSON, self.with_row("[" + ",".join(self.cells(width)) + "]")

    def json_unknown_name(self):
        name = self.random.choice(["F0", "f5", "", " f0", "label", "f0\\u0020", "x" * 5000,
                                   "__proto__", "\u00fc"])
        return JSON, self.with_row('{"' + name + '": 1}')

    def json_name_twice(self):
        return JSON, self.with_row('{"f1": 1, "f\\u0031": 2}')

    def json_member_twice(self):
        return JSON, self.body(rest=',"samples":[[1,2,3,4,5]]')

    def json_unknown_member(self):
        return JSON, self.body(rest=',"' + self.random.choice(["row", "Samples", "id", ""]) +
                               '":1')

    def json_wrong_option(self):
        return JSON, self.body(rest=self.random.choice(
            [',"explain":-1', ',"explain":1.5', ',"explain":"3"', ',"explain":1e40',
             ',"keep":1', ',"keep":"yes"', ',"keep":null', ',"explain":[]', ',"ids":{}',
             ',"ids":"a"', ',"ids":null']))

    def json_bad_id(self):
        return JSON, self.body(["[1,2,3,4,5]"],
                               ',"ids":["' + self.random.choice(BAD_IDS) + '"]')

    def json_wrong_ids(self):
        ids = self.random.choice([[], ["a", "b"], ["a", "b", "c"], [1], [None], [["a"]]])
        return JSON, self.body(["[1,2,3,4,5]"], ',"ids":' + json.dumps(ids))

    def json_too_many_rows(self):
        return JSON, self.body(["[1,2,3,4,5]"] * 101)

    # ---- CSV ----

    def with_line(self, line):
        lines = [",".join(f"{self.random.gauss(0, 9):.5g}" for _ in range(5))
                 for _ in range(self.random.randint(1, 5))]
        lines.insert(self.random.randint(1, len(lines)), line)
        return self.random.choice(["\n", "\r\n"]).join(lines) + "\n"

    def csv_bad_cell(self):
        cell = self.random.choice(["x", "1.2.3", "1e", "0x1", "--1", "inf", "-Infinity", "1e39",
                                   "1 2", "'1'", "\u0661", "=1+1", "true"])
        return CSV, self.with_line(f"1,2,{cell},4,5")

    def csv_wrong_width(self):
        return CSV, self.with_line(self.random.choice(["1", "1,2", "1,2,3,4", "1,2,3,4,5,6",
                                                      "1;2;3;4;5", ",,,,,,,"]))

    def csv_bad_quotes(self):
        return CSV, self.with_line(self.random.choice(['"1,2,3,4,5', '1,"2"3,3,4,5',
                                                      '1,"2\n",3,4,5', '1,2",3,4,5']))

    def csv_bad_header(self):
        return CSV, self.random.choice(["f0,f1,f9\n1,2,3\n", "f0,f0\n1,2\n", "a,b,c,d,e\n",
                                        "f0,f1\n1\n", "f0,f1,f2,f3,f4\n"])

    def csv_nul(self):
        return CSV, self.with_line("1,2,3\x00,4,5")

    def csv_bad_utf8(self):
        return CSV, b"f0,f1," + self.random.choice(BAD_UTF8) + b"\n1,2,3\n"

    def csv_empty(self):
        return CSV, self.random.choice(["", "\n", "\r\n\r\n", "\ufeff"])

    # ---- Head ----

    def head_content_type(self):
        kind = self.random.choice(["text/plain", "application/xml", "json", "", "application/",
                                   "multipart/form-data; boundary=x", "text/html",
                                   "application/x-www-form-urlencoded"])
        return {"Content-Type": kind}, self.body()

    def head_no_content_type(self):
        return {}, self.body()

    def head_encoding(self):
        encoding = self.random.choice(["gzip", "deflate", "br", "zstd", "x"])
        return {**JSON, "Content-Encoding": encoding}, self.body()
