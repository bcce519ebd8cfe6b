-- The registry: tenants, tokens, models; who leads; and the incarnation of every slot.

-- put: writes a record by compare-and-set.
-- KEYS 1 incarnation, 2 sequence, 3 events, 4 the HASH. ARGV 3 kind (tenant | token | model), 4 id,
-- 5 expected revision (0: must not exist), 6 record.
-- Codes: INCARNATION, REVISION (with the stored revision and record). O(1).
local function put(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local stored = redis.call('HMGET', keys[4], argv[4], argv[4] .. '#rev')
  local revision = stored[2] or '0'
  if revision ~= argv[5] then return {'REVISION', now, 0, revision, stored[1] or ''} end
  redis.call('HSET', keys[4], argv[4], argv[6], argv[4] .. '#rev', int(tonumber(revision) + 1))
  return {'OK', now, emit(keys, now, argv[3], 'id', argv[4], 'r', argv[6])}
end

-- lead: takes or renews the leadership of the pool.
-- KEYS 1 leader. ARGV 1 now, 2 id, 3 token, 4 lease ms (0 gives it up).
-- Code: HELD (with id and until ms): another replica leads. O(1).
local function lead(keys, argv)
  local now = now_of(argv)
  local held = redis.call('HMGET', keys[1], 'id', 'token', 'until')
  if held[2] and held[2] ~= argv[3] and tonumber(held[3]) > now then
    return {'HELD', now, 0, held[1], held[3]}
  end
  local lease = tonumber(argv[4])
  if lease == 0 then
    redis.call('DEL', keys[1])
  else
    redis.call('HSET', keys[1], 'id', argv[2], 'token', argv[3], 'until', int(now + lease))
  end
  return {'OK', now, 0}
end

-- open: puts a slot under a new incarnation.
-- KEYS 1 incarnation. ARGV 1 now, 2 the incarnation the caller saw ('' for none), 3 the new one.
-- Code: INCARNATION: somebody else opened it meanwhile. O(1).
local function open(keys, argv)
  local now = now_of(argv)
  if (redis.call('GET', keys[1]) or '') ~= argv[2] then return {'INCARNATION', now, 0} end
  redis.call('SET', keys[1], argv[3])
  return {'OK', now, 0}
end

-- serve: notes which life of Redis the slots were opened in.
-- KEYS 1 schema. ARGV 1 now, 2 the server's run_id. O(1).
local function serve(keys, argv)
  redis.call('HSET', keys[1], 'run_id', argv[2])
  return {'OK', now_of(argv), 0}
end

define('fl_registry_put', {keys = 4, args = 'nsssns'}, put)
define('fl_registry_lead', {keys = 1, args = 'nssn', flags = {'allow-oom'}}, lead)
define('fl_registry_open', {keys = 1, args = 'nss', flags = {'allow-oom'}}, open)
define('fl_registry_serve', {keys = 1, args = 'ns', flags = {'allow-oom'}}, serve)
