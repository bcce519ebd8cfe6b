-- Part 10 of lane3: tick.
-- ---- Tick ----------------------------------------------------------------------------------------
local tick
do
-- Reads a list of a tick: a count and then that many groups of `width` arguments. Nil when it is none.
local function take(argv, at, width, most)
  local n = whole(argv[at], most)
  if not n or at + n * width > #argv then return nil, at end
  local groups = {}
  for i = 1, n do groups[i] = {unpack(argv, at + (i - 1) * width + 1, at + i * width)} end
  return groups, at + n * width + 1
end

-- Reads the indices of an ack, "1,2" or "1-100". False when they are none or too many.
local function read_indices(ack, text)
  if text == '1' then
    ack.first, ack.n = 1, 1
    return true
  end
  local first, last = string.match(text, '^(%d+)%-(%d+)$')
  if first then
    first, last = whole(first, 2 ^ 31), whole(last, 2 ^ 31)
    if not first or not last then return false end
    ack.first, ack.n = first, last - first + 1
    return ack.n >= 1 and ack.n <= MAX_BATCH
  end
  if not find(text, '^[%d,]+$') then return false end
  ack.indices, ack.n = {}, 0
  for index in string.gmatch(text, '%d+') do
    ack.n = ack.n + 1
    if ack.n > MAX_BATCH then return false end
    ack.indices[ack.n] = tonumber(index)
  end
  if ack.n == 1 then ack.first, ack.indices = ack.indices[1], false end
  return ack.n > 0
end

-- The acks: how many grants, then for each its name, the indices and the results.
local function take_acks(argv, at, tick)
  local n, total = whole(argv[at], MAX_BATCH), 0
  if not n or at + 3 * n > #argv then return nil, at end
  tick.acks, tick.longest = n > 0 and {} or NONE, 0
  for i = 1, n do
    local from = at + 3 * i - 2
    local ack = {grant = argv[from], results = argv[from + 2], first = 0, n = 0, indices = false, runs = false}
    if not find(ack.grant, '^%x+$') or not read_indices(ack, argv[from + 1]) then return nil, at end
    total = total + ack.n
    local sizes, longest = sizes_of(ack.results, ack.n)
    if not sizes or total > MAX_BATCH then return nil, at end
    if longest > tick.longest then tick.longest = longest end
    tick.acks[i] = ack
  end
  return tick.acks, at + 3 * n + 1
end

local function parse_tick(argv)
  local tick = {session = argv[3], description = argv[4], grant = argv[5], classes = {}, acks = NONE,
                nacks = NONE, notes = NONE, new = false, ttl = 0, want = 0, hops = 0, longest = 0}
  local new, ttl, want, hops, classes = string.match(argv[6] or '', '^([01])|(%d+)|(%d+)|(%d+)|(%d+)$')
  if not new then return nil end
  tick.new, tick.ttl, tick.want, tick.hops = new == '1', tonumber(ttl), tonumber(want), tonumber(hops)
  classes = tonumber(classes)
  if classes > MAX_CLASSES or 6 + 2 * classes > #argv then return nil end
  local at = 7
  for i = 1, classes do
    local number = whole(argv[at + 1], 255)
    if not number then return nil end
    tick.classes[i] = {name = argv[at], guess = number}
    at = at + 2
  end
  local acks
  acks, at = take_acks(argv, at, tick)
  if not acks then return nil end
  if at <= #argv then
    tick.nacks, at = take(argv, at, 4, MAX_BATCH)
    if tick.nacks then tick.notes, at = take(argv, at, 2, MAX_BATCH) end
  end
  if not tick.nacks or not tick.notes or at <= #argv then return nil end
  if tick.ttl <= 0 or tick.ttl > MAX_LEASE_MS or tick.want > MAX_BATCH or not find(tick.grant, '^%x+$') or #tick.grant > 64 then
    return nil
  end
  if tick.session == '' or #tick.session > 255 then return nil end
  for i = 1, #tick.nacks do
    local one = tick.nacks[i]
    one[3] = find(one[3], '^[01]%.?%d*$') and tonumber(one[3])
    if not one[3] or one[3] > 1 or #one[4] >= 2 ^ 23 then return nil end
  end
  return tick
end

-- Tokens of the session whose job was cancelled. Only when there is such a one somewhere.
local function cancelled_tokens(s, session, grants)
  local tokens = {}
  if lane_of(s).gone == 0 then return tokens end
  for name in string.gmatch(session.grants, '%x+') do
    local grant = grant_of(s, session.id, name, grants)
    for i = 1, grant and grant.n or 0 do
      if grant.entries[i] == false then tokens[#tokens + 1] = name .. '-' .. i end
    end
  end
  return tokens
end

-- Leases up to `want` jobs as one grant. Returns their entries, how many they are, and their classes
-- {number, name, …}.
local function lease(s, session, name, classes, want)
  local pieces, n = choose(s, classes, want)
  local texts, runs, names, told = {}, {}, {}, nil
  if n == 0 then return texts, 0, names end
  for i = 1, #pieces do
    local piece = pieces[i]
    local queue = piece.queue
    texts[i] = piece[3]
    runs[i] = {number = piece[1], n = piece[2], class = queue.class, flow = queue.flow, text = piece[3]}
    if queue.class ~= told and (not told or not find(told, '|' .. queue.class .. '|', 1, true)) then
      told = (told or '|') .. queue.class .. '|'
      names[#names + 1], names[#names + 2] = queue.class, class_of(s, queue.class).name
    end
  end
  set(s, 'h' .. name, pack_grant(session.id, n, n, 1, runs))
  session.grants = session.grants .. name .. ' '
  session.count, session.held = session.count + 1, session.held + n
  return texts, n, names
end

-- The same tick again, its reply was lost: what it leased then, if it still holds that.
local function lease_again(s, session, grants, name)
  local grant, texts, names, told = grant_of(s, session.id, name, grants), {}, {}, {}
  if not grant then return nil end
  for i = 1, grant.n do
    texts[i] = grant.entries[i] or '\0\1'
    if texts[i] == '' then texts[i] = '\0\0' end
    local n = grant.entries[i] and grant.bodies[i] and byte(grant.bodies[i], 2)
    if n and not told[n] then
      told[n] = true
      names[#names + 1], names[#names + 2] = n, class_of(s, n).name
    end
  end
  return texts, grant.n, names
end

-- One waiting session is told when the next job is due, so that it comes by itself: not all of them.
local function timer_of(s, session)
  local due = lane_of(s).due
  if session.idle == 0 or due == 0 then return 0 end
  local keeper, until_ms = string.match(get(s, 'timer') or '', '^(.*)|(%d+)$')
  local mine = keeper == session.id
  until_ms = tonumber(until_ms or nil)
  if keeper and not mine and until_ms <= due and until_ms + 1000 > s.now then return 0 end
  set(s, 'timer', session.id .. '|' .. int(due))
  return due
end

-- A woken session that can do nothing passes its token on when there is work of other classes.
local function pass_on(s, hops, classes)
  local fields, other = {}, 0
  for n = 1, lane_of(s).classes do fields[n] = 'c' .. n end
  load(s, fields)
  for n = 1, #fields do other = other + class_of(s, n).ready end
  for i = 1, #classes do other = other - class_of(s, classes[i]).ready end
  if other > 0 then redis.call('RPUSH', s.keys[WAKE], int(hops - 1)) end
end

-- Reads what most ticks need.
local function load_tick(s, request)
  local fields, n = {'lane', 's' .. request.session, 'h' .. request.grant}, 3
  for i = 1, #request.classes do
    local class = request.classes[i]
    fields[n + i] = class.guess > 0 and 'c' .. class.guess or 'k' .. class.name
  end
  n = #fields
  for i = 1, #request.acks do fields[n + i] = 'h' .. request.acks[i].grant end
  load(s, fields)
end

-- The session of a tick; nil and a code when it may have none.
local function session_for(s, request)
  local session = session_of(s, request.session)
  if session and session.expiry <= s.now or not session and not request.new then return nil, 'FENCED' end
  if session then return session end
  if redis.call('ZCARD', s.keys[SES]) >= MAX_SESSIONS then return nil, 'FULL' end
  return {id = request.session, expiry = 0, score = 0, idle = 0, drain = 0, noted = 0, held = 0,
          count = 0, grants = ' '}
end

-- What a tick leases: entries, how many, classes, and the numbers of the classes that there are.
local function lease_for(s, session, request, drain)
  local classes = {}
  for i = 1, #request.classes do
    classes[#classes + 1] = class_known(s, request.classes[i].guess, request.classes[i].name)
  end
  local want = math.min(request.want, MAX_HELD - session.held)
  if want <= 0 or drain or session.count >= MAX_GRANTS or #classes == 0 then return NONE, 0, NONE, classes end
  local entries, n, names = lease(s, session, request.grant, classes, want)
  return entries, n, names, classes
end

-- tick: heartbeat, notes, acks, nacks and lease of a session in one call.
-- ARGV 3 session, 4 description ("" to leave it), 5 a grant: random hex digits, new in each call,
-- 6 "<1 if the session may be new>|<lease ms, at most a day>|<jobs wanted>|<value of the wake token that caused this
-- call, or 0>|<classes>", then for each class its name and its number as far as the caller knows, or
-- 0; then how many acks and for each its grant, the indices in it ("<index>,…" or "<first>-<last>")
-- and the results of these jobs (JobResult bytes) as texts in one (part 5). Two lists may follow, each
-- behind its length: nacks (token, "1" if preempted, jitter in [0, 1], error); notes (token, text).
-- Acks, nacks and notes of tokens that are not live change nothing. A repeated call (same grant)
-- answers with what its first execution leased.
-- Returns {OK, now, seq of the last event or 0, drain 0 | 1, cancelled tokens, lost tokens, texts of
-- entries of the leased jobs (part 2): the i-th has the token "<grant>-<i>", {class number, name, …},
-- classes there are, due ms of the next delayed job for the one session that shall wait for it or
-- 0}. Codes: FENCED (the session has expired or is unknown), FULL (too many sessions), INVALID.
-- allow-oom: a full Redis is emptied through it.
-- O(acks + nacks + notes + parts leased + flows served; + held while a cancelled job is held).
function tick(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local plain = plain_tick(keys, argv, now)
  if plain then return plain end
  local request = parse_tick(argv)
  if not request then return {'INVALID', now, 0} end
  local s, grants = begin(keys, now), {}
  load_tick(s, request)
  local session, code = session_for(s, request)
  if not session then return {code, now, 0} end
  local entries, leased, names, again
  if get(s, 'h' .. request.grant) then
    entries, leased, names = lease_again(s, session, grants, request.grant)
    if not entries then return {'INVALID', now, 0} end
    again = true
  end

  extend(s, session, request.ttl)
  if request.description ~= '' then set(s, 'd' .. session.id, request.description) end
  local lost = settle(s, request, session, grants)
  local cancelled = cancelled_tokens(s, session, grants)
  local lane = lane_of(s)
  local drain = session.drain == 1 or lane.drain == 1
  promote(s, PROMOTE)
  local more, count, of, classes = lease_for(s, session, request, drain or again)
  if not again then entries, leased, names = more, count, of end
  local was_idle = session.idle
  session.idle = request.want > 0 and leased == 0 and not drain and 1 or 0
  lane.idle = lane.idle + session.idle - was_idle
  local wait_for = timer_of(s, session)
  save_session(s, session)
  if request.hops > 1 and session.idle == 1 then pass_on(s, request.hops, classes) end
  local seq = flush(s)
  wake(s, s.ready - leased)
  remind(s)
  return {'OK', now, seq, drain and 1 or 0, cancelled, lost, entries, names, lane.classes, wait_for}
end

end
