"""Writes the points of a request, which comes as JSON on standard input, by python3-influxdb."""
import json
import sys

import influxdb

request = json.load(sys.stdin)
client = influxdb.InfluxDBClient(
    host="127.0.0.1", port=request["port"], username="any", password=request["token"],
    database=request["database"], gzip=request["gzip"], retries=1)
points = [{"measurement": p["table"], "tags": p["tags"], "fields": p["fields"], "time": p["time"]}
          for p in request["points"]]
try:
    client.write_points(points)
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
