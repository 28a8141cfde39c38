"""Process that copies documents with boto3 and reports the cost of each load.

boto3_worker.py <method>. One JSON object per line in and out: first the route, then loads.
"""

import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import boto3
import urllib3

method = sys.argv[1]
route = json.loads(sys.stdin.readline())
authority = route.get("authority")
source = urllib3.PoolManager(maxsize=16, ca_certs=authority)
session = boto3.session.Session()
local = threading.local()


def client():
    if not hasattr(local, "s3"):
        local.s3 = session.client(
            "s3",
            endpoint_url=route["sink"],
            region_name="us-east-1",
            aws_access_key_id="AKIDEXAMPLE",
            aws_secret_access_key="a-secret-of-the-bench",
            verify=authority or True,
        )
    return local.s3


def copy(document):
    url = f"{route['source']}/storage/{document['id']}"
    key = f"documents/{document['id']}"
    with source.request("GET", url, preload_content=False) as got:
        if method == "upload_fileobj":
            client().upload_fileobj(got, "archive", key, ExtraArgs={"ContentType": "application/pdf"})
        else:
            client().put_object(Bucket="archive", Key=key, Body=got.read(), ContentType="application/pdf")
        got.release_conn()


pools = {}
for line in sys.stdin:
    load = json.loads(line)
    pool = pools.setdefault(load["concurrency"], ThreadPoolExecutor(load["concurrency"]))
    cpu = time.process_time()
    began = time.monotonic()
    list(pool.map(copy, load["documents"]))
    ms = (time.monotonic() - began) * 1000
    cpu_ms = (time.process_time() - cpu) * 1000
    print(json.dumps({"cpuMs": cpu_ms, "ms": ms}), flush=True)
