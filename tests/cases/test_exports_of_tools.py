"""Exports of monitoring tools: what their files hold comes out as channels and streams, with units and zones."""

import numpy as np
import pytest

from oddwave.errors import DataError
from oddwave.sources.series.reader import read_series

START = np.datetime64("2024-05-01T00:00:00")
N = 30


def minutes(i, spelling="{}"):
    return spelling.format(str(START + np.timedelta64(int(i), "m")))


def wave(i, level=0.0):
    return level + round(float(np.sin(i * 1.3)) * 5, 2)


def read(tmp_path, text, **options):
    path = tmp_path / "export.csv"
    path.write_text(text, encoding="utf-8")
    return {item.id: item for item in read_series(path, **options).items}


def one(tmp_path, text, **options):
    (item,) = read(tmp_path, text, **options).values()
    return item


@pytest.mark.parametrize("first", ["sep=,", '"sep=,"', "SEP=,", "\ufeffsep=,", "sep=,\n"])
def test_grafana_names_the_delimiter_and_has_a_column_per_series(tmp_path, first):
    rows = [f'"{minutes(i)}","{wave(i, 20)}%","{i % 7} ms"' for i in range(N)]
    item = one(tmp_path, "\n".join([first, '"Time","A-series","B-series"', *rows]))
    assert item.channel_names == ("A-series", "B-series")
    np.testing.assert_array_equal(item.values[:, 0], [wave(i, 20) for i in range(N)])
    np.testing.assert_allclose(item.values[:, 1], [i % 7 * 1e-3 for i in range(N)])
    assert any("delimiter ','" in note for note in item.notes)


@pytest.mark.parametrize("mark", [";", ",", "\t"])
def test_a_sep_line_with_any_delimiter(tmp_path, mark):
    rows = [f"{minutes(i)}{mark}{wave(i)}" for i in range(N)]
    assert one(tmp_path, "\r\n".join([f"sep={mark}", f"time{mark}flow", *rows])).channel_names == ("flow",)


def test_grafana_long_form_has_a_channel_per_series(tmp_path):
    rows = [f"{name};{minutes(i)}.000Z;{wave(i, k * 100)}" for k, name in enumerate("AB") for i in range(N)]
    item = one(tmp_path, "\n".join(["Series;Time;Value", *rows]))
    assert item.channel_names == ("A", "B")
    np.testing.assert_array_equal(item.values, [[wave(i), wave(i, 100)] for i in range(N)])
    assert item.timezone == "UTC"


def test_prometheus_samples_are_a_stream_per_instance_and_a_channel_per_label_set(tmp_path):
    rows = [
        f"node_cpu,{host},{mode},{cpu},{1714521600 + 60 * i},{wave(i, level)}"
        for i in range(N)
        for level, host in ((0, "a:9100"), (500, "b:9100"))
        for mode in ("idle", "user")
        for cpu in (0, 1)
    ]
    streams = read(tmp_path, "\n".join(["__name__,instance,mode,cpu,timestamp,value", *rows]))
    assert sorted(streams) == ["instance=a:9100", "instance=b:9100"]
    for name, level in (("instance=a:9100", 0), ("instance=b:9100", 500)):
        assert sorted(streams[name].channel_names) == [
            "node_cpu{mode=idle,cpu=0}",
            "node_cpu{mode=idle,cpu=1}",
            "node_cpu{mode=user,cpu=0}",
            "node_cpu{mode=user,cpu=1}",
        ]
        np.testing.assert_array_equal(streams[name].values, np.repeat([[wave(i, level)] for i in range(N)], 4, axis=1))


ANNOTATIONS = (
    "#group,false,false,true,true,false,false,true,true,true\n"
    "#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,dateTime:RFC3339,double,string,string,string\n"
    "#default,_result,,,,,,,,\n"
)
HEADER = ",result,table,_start,_stop,_time,_value,_field,_measurement,host\n"


def influx(table, field, host, level):
    span = "2024-05-01T00:00:00Z,2024-05-02T00:00:00Z"
    return "".join(f",,{table},{span},{minutes(i)}Z,{wave(i, level)},{field},cpu,{host}\n" for i in range(N))


@pytest.mark.parametrize("form", ["one table", "blocks", "without annotations"])
def test_influxdb_tables_are_pivoted_by_field_and_split_by_tag(tmp_path, form):
    parts = [
        influx(0, "usr", "h1", 0),
        influx(1, "sys", "h1", 10),
        influx(2, "usr", "h2", 500),
        influx(3, "sys", "h2", 510),
    ]
    head = {"one table": ANNOTATIONS + HEADER, "blocks": ANNOTATIONS + HEADER, "without annotations": HEADER}[form]
    text = "\n".join(head + part for part in parts) if form == "blocks" else head + "".join(parts)
    streams = read(tmp_path, text)
    assert sorted(streams) == ["host=h1", "host=h2"]
    for name, level in (("host=h1", 0), ("host=h2", 500)):
        assert streams[name].channel_names == ("usr", "sys")
        np.testing.assert_array_equal(streams[name].values, [[wave(i, level), wave(i, level + 10)] for i in range(N)])


def test_one_influxdb_field_is_named_after_it(tmp_path):
    assert one(tmp_path, ANNOTATIONS + HEADER + influx(0, "usr", "h1", 0)).channel_names == ("usr",)


@pytest.mark.parametrize(
    ("head", "names"),
    [
        ("Full label,CPU of i-1,CPU of i-2\nLabel,CPU,CPU\nPeriod,300,300\n", ("CPU of i-1", "CPU of i-2")),
        ('"Full label","a","b"\n"Label","in","out"\n"Statistic","Sum","Sum"\n', ("in", "out")),
        ("Label,in,out\nTime zone,UTC\n\n", ("in", "out")),
    ],
)
def test_cloudwatch_head_lines_name_the_channels(tmp_path, head, names):
    rows = "\n".join(f"{minutes(i).replace('-', '/').replace('T', ' ')},{wave(i)},{wave(i, 50)}" for i in range(N))
    item = one(tmp_path, head + rows)
    assert item.channel_names == names
    np.testing.assert_array_equal(item.values, [[wave(i), wave(i, 50)] for i in range(N)])
    assert item.sample_period_s == 60


@pytest.mark.parametrize(
    "head",
    [
        "Plant 5\nOperator;Miller\n\nTime;temp;pressure\n",
        "Device;Pump 5;\nSerial;1234;\nTime;temp;pressure\n;°C;bar\n",
        "Time;temp;pressure\n;°C;bar\n",
        "Time;temp;pressure\n",
    ],
)
def test_head_lines_and_lines_of_units_are_passed_over(tmp_path, head):
    rows = "\n".join(f"{minutes(i)};{wave(i)};{wave(i, 9)}" for i in range(N))
    item = one(tmp_path, head + rows)
    assert item.channel_names == ("temp", "pressure")
    assert item.values[0].tolist() == [wave(0), wave(0, 9)]
    assert item.n_timepoints == N


def test_a_header_in_the_middle_and_empty_cells_at_the_end(tmp_path):
    half = [f"{minutes(i)},{wave(i)}," for i in range(N)]
    item = one(tmp_path, "\n".join(["time,v", *half[:10], "time,v", *half[10:]]))
    np.testing.assert_array_equal(item.values[:, 0], [wave(i) for i in range(N)])
    assert any("repeat the header" in note for note in item.notes)


LEVELS = {"1": 0.0, "2": 300.0, "3": -300.0}


@pytest.mark.parametrize("key", ["machine", "host", "sensor_id", "instance", "Linie 7"])
@pytest.mark.parametrize("order", ["blocks", "in turn"])
@pytest.mark.parametrize("ids", [("1", "2", "3"), ("a", "b", "c")])
def test_entities_are_never_interleaved(tmp_path, key, order, ids):
    names = dict(zip(ids, LEVELS.values(), strict=True))
    rows = [(name, i) for name in ids for i in range(N)]
    rows = rows if order == "blocks" else sorted(rows, key=lambda row: row[1])
    text = "\n".join([f"{key},time,v", *(f"{name},{minutes(i)},{wave(i, names[name])}" for name, i in rows)])
    for options in ({}, {"columns": ["v"]}, {"columns": [2]}, {"exclude": [key]}):
        streams = read(tmp_path, text, **options)
        assert sorted(streams) == [f"{key}={name}" for name in ids]
        for name, level in names.items():
            item = streams[f"{key}={name}"]
            assert item.channel_names == ("v",)
            np.testing.assert_array_equal(item.values[:, 0], [wave(i, level) for i in range(N)])
            assert any(key in note and "several series" in note for note in item.notes)


@pytest.mark.parametrize("key", ["variable", "metric", "name", "parameter", "_field"])
def test_names_of_what_was_measured_are_channels(tmp_path, key):
    rows = [f"{minutes(i)},{name},{wave(i, level)}" for i in range(N) for name, level in (("temp", 0), ("flow", 90))]
    item = one(tmp_path, "\n".join([f"time,{key},value", *rows]))
    assert sorted(item.channel_names) == ["flow", "temp"]
    assert item.values[3, item.channel_names.index("flow")] == wave(3, 90)
    chosen = one(tmp_path, "\n".join([f"time,{key},value", *rows]), columns=["flow"])
    assert chosen.channel_names == ("flow",)


def test_entities_at_times_of_their_own_and_fields_they_do_not_share(tmp_path):
    rows = [f"{minutes(2 * i + k)},{host},{wave(i, 100 * k)}" for i in range(N) for k, host in enumerate(("x", "y"))]
    assert sorted(read(tmp_path, "\n".join(["time,host,v", *rows]))) == ["host=x", "host=y"]
    rows = [f"{minutes(i)},{h},{f},{wave(i)}" for i in range(N) for h, f in (("x", "cpu"), ("y", "temp"), ("y", "hum"))]
    item = one(tmp_path, "\n".join(["time,host,metric,value", *rows]))
    assert item.n_channels == 3


def test_an_ordinary_column_of_few_whole_numbers_is_no_entity(tmp_path):
    rows = [f"{minutes(i)},{i % 3},{'on' if i % 4 else 'off'},{wave(i)}" for i in range(N)]
    item = one(tmp_path, "\n".join(["time,tank,pump,v", *rows]))
    assert item.channel_names == ("tank", "v")


def test_labels_that_do_not_tell_all_rows_apart_are_refused(tmp_path):
    rows = [f"{minutes(i)},{kind},{wave(i, j)}" for i in range(N) for j, kind in enumerate("ppqqr")]
    with pytest.raises(DataError, match=r"several series in one column.*'kind'"):
        read(tmp_path, "\n".join(["time,kind,v", *rows]))
