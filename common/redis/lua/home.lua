-- Contractor homes: profiles, presence, and the folded projections of what the task shards decided.
-- KEYS 1 incarnation, 2 sequence, 3 events, then as said. Code all share: INCARNATION.

-- contractor_put: creates or replaces a profile.
-- KEYS 4 contractors, 5 contractor. ARGV 3 contractor, 4 record (ContractorRecord). O(1).
local function contractor_put(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  redis.call('HSET', keys[5], 'rec', argv[4])
  redis.call('SADD', keys[4], argv[3])
  return {'OK', now, emit(keys, now, 'contractor', 'c', argv[3], 'r', argv[4])}
end

-- presence: how many offers a contractor holds at a time from now on, and for how long that is true.
-- KEYS 4 presence, 5 credit. ARGV 3 contractor, 4 credit (0 goes offline), 5 lifetime ms. O(log n).
local function presence(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local expires = now + tonumber(argv[5])
  if tonumber(argv[4]) > 0 then
    redis.call('ZADD', keys[4], int(expires), argv[3])
    redis.call('HSET', keys[5], argv[3], argv[4])
  else
    redis.call('ZREM', keys[4], argv[3])
    redis.call('HDEL', keys[5], argv[3])
  end
  return {'OK', now, emit(keys, now, 'presence', 'c', argv[3], 'cr', argv[4], 'ex', int(expires))}
end

-- fold: adds pay entries of one task slot, events (from, to], exactly once.
-- KEYS 4 cursors, 5… the contractors. ARGV 3 task slot, 4 from, 5 to, then per contractor: micros,
-- annotations. Code: STALE (with the cursor): somebody folded further. O(n).
local function fold(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local cursor = redis.call('HGET', keys[4], argv[3]) or '0'
  if cursor ~= argv[4] then return {'STALE', now, 0, cursor} end
  for i = 5, #keys do
    local a = 5 + (i - 5) * 2
    redis.call('HINCRBY', keys[i], 'bal', argv[a + 1])
    redis.call('HINCRBY', keys[i], 'n', argv[a + 2])
  end
  redis.call('HSET', keys[4], argv[3], argv[5])
  return {'OK', now, 0}
end

local OOM = {'allow-oom'}
define('fl_home_contractor_put', {keys = 5, args = 'nsss', flags = OOM}, contractor_put)
define('fl_home_presence', {keys = 5, args = 'nssnn', flags = OOM}, presence)
define('fl_home_fold', {keys = 4, args = 'nssnn', each = 'nn', each_key = 1, least = 0, flags = OOM}, fold)
