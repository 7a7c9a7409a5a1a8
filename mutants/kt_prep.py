import json, random
d = json.load(open('/tmp/mut/kt.json'))
d = [m for m in d if not (m.get('function') and m['function']['function_name'].endswith('::fmt'))]
print(len(d))
random.Random(19).shuffle(d)
out = []
for k, m in enumerate(d[:215]): m = dict(m); m['id'] = k + 1; out.append(m)
json.dump(out, open('/tmp/mut/kt.drawn.json', 'w'), indent=1)
