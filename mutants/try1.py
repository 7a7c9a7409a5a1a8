import manual, schema, shutil
e,ids=manual.edits('/tmp/mut/orig',9001)
shutil.rmtree('/tmp/mut/try'); shutil.copytree('/tmp/mut/orig','/tmp/mut/try')
m,b=schema.generate('/tmp/mut/orig','/tmp/mut/try',e,set(),'src/lib.rs',{'keep':[]})
print(len(e),b)
