exec(open('/tmp/mut/kt_only.py').read())
