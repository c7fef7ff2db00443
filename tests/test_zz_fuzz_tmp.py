import json, random, sys, http.client
from urllib.parse import urlsplit, quote
import msgspec, pytest
from running import Running
from dragoman.server.admin_routes import ENDPOINTS
import subprocess, os

VALUES=[None,True,0,-1,1.5,1e308,10**30,"", "a","a\x00b","\ud800","x"*5000,"' OR 1=1--","default","*",[],["a"],[None],{}, {"a":"b"},{"a":{"b":1}},{"\x00":"\x00"},"2026-01-01T00:00:00Z","9999-12-31T23:59:59Z","0001-01-01T00:00:00+14:00","12.50","99999999999999999999","owner","admin","developer","day","organization","key","workspace","UTC","Europe/Berlin","../etc/passwd","http://127.0.0.1:9/x","file:///etc/passwd","10.0.0.0/8","::/0","claude-*","[","*"*300, 2**63, [80]*30,[100],"active","archived","NaN","#ff0000","a@b.c"]
def fields(t):
    return list(t.__struct_fields__) if t else []
@pytest.mark.parametrize("kind",["sqlite","postgres"])
def test_fuzz(kind, tmp_path, request):
    rng=random.Random(7)
    url=f"sqlite:///{tmp_path}/dragoman.db" if kind=="sqlite" else request.getfixturevalue("postgres_url")
    env={"DRAGOMAN_DATABASE":url,"DRAGOMAN_SECRET":"s"*32}
    base={k:v for k,v in os.environ.items() if k in("PATH","HOME")}
    (tmp_path/"dragoman.toml").write_text('[providers.offline]\n[providers.cloud]\nbase_url="http://127.0.0.1:9"\n')
    cfg=(tmp_path/"dragoman.toml").read_text()
    admin=subprocess.run([sys.executable,"-m","dragoman","keys","create","--admin","owner"],capture_output=True,text=True,env=base|env,cwd=tmp_path).stdout.strip()
    assert admin
    bad=[]; seen={}
    with Running(tmp_path,cfg,env=env) as s:
        a=urlsplit(s.url); c=http.client.HTTPConnection(a.hostname,a.port,timeout=30)
        ids=["x"]
        def ask(m,p,b):
            nonlocal c
            try:
                c.request(m,p,b,{"x-api-key":admin,"anthropic-version":rng.choice(["2023-06-01"]),"content-type":"application/json"})
                r=c.getresponse(); d=r.read()
            except Exception as e:
                c.close(); return -1, repr(e).encode()
            return r.status,d
        for n in range(4000):
            e=rng.choice(ENDPOINTS)
            if "organizations/users" in e.path and e.method=="DELETE": continue
            path="/".join(quote(rng.choice([rng.choice(ids),rng.choice(ids),rng.choice(ids),"default","cloud","organization","%00","a b","😀"]),safe="") if x.startswith("{") else x for x in e.path.split("/"))
            if rng.random()<.3:
                q=fields(e.query) or ["limit","page","starting_at","ending_at","group_by[]","bucket_width","model","status","workspace_id","after_id","contents","models[]"]
                path+="?"+"&".join(f"{f}={quote(str(rng.choice(VALUES)).encode('utf-8','replace'))}" for f in rng.sample(q,min(len(q),3)))
            body=None
            if e.body:
                fs=fields(e.body)
                b={f:rng.choice(VALUES) for f in fs if rng.random()<.6}
                for f in fs:
                    if rng.random()<.5:
                        b[f]={"name":"n%d"%n,"role":"developer","scope":"organization","period":"day","limit_usd":"5","email":f"u{n}@b.c","key":"sk-abcdefgh","display_color":"#ff0000","tier":None,"workspace_role":"workspace_user","user_id":rng.choice(ids)}.get(f,b.get(f))
                body=json.dumps(b).encode()
            st,d=ask(e.method,path,body)
            seen.setdefault(st,0); seen[st]+=1
            if st>=500 or st==-1: bad.append((e.method,path[:150],(body or b"")[:300],st,d[:200]))
            try:
                o=json.loads(d)
                if isinstance(o,dict) and isinstance(o.get("id"),str) and st==200: ids.append(o["id"])
            except Exception: pass
        c.close(); print(seen)
        for b in bad[:15]: print(b)
    log=s.log()
    import re
    print([l for l in log.splitlines() if "Error" in l or "Traceback" in l or "fault" in l][:20])
    i=log.find("Traceback")
    if i>=0: print(log[max(0,i-300):i+3500])
    assert not bad
