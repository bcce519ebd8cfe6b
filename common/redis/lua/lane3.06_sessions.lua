-- Part 6 of lane3: sessions and what they hold.
-- ---- Sessions ------------------------------------------------------------------------------------
local SESSION = '>ddBBBI4H'         -- expiry, its score in ses, idle, drain, has notes, held, grants

local function read_session(id, text)
  local expiry, score, idle, drain, noted, held, count, at = unpack_struct(SESSION, text)
  return {id = id, expiry = expiry, score = score, idle = idle, drain = drain, noted = noted, held = held,
          count = count, grants = sub(text, at)}
end

local function session_head(session)
  if session.held == 0 then session.noted = 0 end
  return pack(SESSION, session.expiry, session.score, session.idle, session.drain, session.noted,
    session.held, session.count)
end

local function session_of(s, id)
  local text = get(s, 's' .. id)
  return text and read_session(id, text) or nil
end

local function save_session(s, session) set(s, 's' .. session.id, session_head(session) .. session.grants) end

-- The lease of a session, and where the reaper looks for its end.
local function extend(s, session, ttl)
  session.expiry = s.now + ttl
  local behind = session.expiry - session.score
  if behind >= ttl / 4 or behind < 0 then
    session.score = session.expiry
    redis.call('ZADD', s.keys[SES], session.score, session.id)
  end
end

-- Sessions whose score has passed: those that have expired, by expiry, and how many live on.
local function past(s)
  local ids = redis.call('ZRANGEBYSCORE', s.keys[SES], '-inf', int(s.now))
  local fields, ended, alive = {}, {}, 0
  for i = 1, #ids do fields[i] = 's' .. ids[i] end
  load(s, fields)
  for i = 1, #ids do
    local session = session_of(s, ids[i])
    if session and session.expiry > s.now then
      alive = alive + 1
    else
      ended[#ended + 1] = session or {id = ids[i], expiry = 0, grants = ' ', idle = 0}
    end
  end
  table.sort(ended, function(a, b) return a.expiry < b.expiry or a.expiry == b.expiry and a.id < b.id end)
  return ended, alive
end

local function live_sessions(s)
  local _, alive = past(s)
  return alive + redis.call('ZCOUNT', s.keys[SES], '(' .. int(s.now), '+inf')
end

-- Whether the session had that grant, which it has no more.
local function drop_grant(session, name)
  local at = find(session.grants, ' ' .. name .. ' ', 1, true)
  if not at then return false end
  session.grants = sub(session.grants, 1, at) .. sub(session.grants, at + #name + 2)
  session.count = session.count - 1
  return true
end

-- An "h" field: GRANT, its runs, and the entries of those runs that have no part of their own, in the
-- order of the tokens' indices.
local GRANT = '>Bc0HHBB'            -- session, entries, those not given back, 1 if whole, runs
local RUN = '>I5BBI3Bc0'            -- its part or 0, entries, class, bytes of its entries here, flow

-- The runs of a grant: {number, n, class, flow, text}; a text of a part is nil until it is read.
local function runs_of(text, at, count)
  local runs = {}
  for i = 1, count do
    local number, n, class, bytes, flow
    number, n, class, bytes, flow, at = unpack_struct(RUN, text, at)
    runs[i] = {number = number, n = n, class = class, flow = flow, text = nil, bytes = bytes}
  end
  for i = 1, count do
    local run = runs[i]
    if run.number == 0 then
      run.text = sub(text, at, at + run.bytes - 1)
      at = at + run.bytes
    end
  end
  return runs
end

-- The grant of that name when it is the session's, its entries apart: '' where one was given back,
-- false where one was cancelled.
local function grant_of(s, session, name, grants)
  if grants[name] then return grants[name] end
  local field = get(s, 'h' .. name)
  if not field then return nil end
  local owner, n, left, _, count, at = unpack_struct(GRANT, field)
  if owner ~= session then return nil end
  local runs, entries, ids, bodies, i = runs_of(field, at, count), {}, {}, {}, 0
  for r = 1, count do
    local text = runs[r].text or get(s, 'q' .. runs[r].number)
    at = 1
    while at <= #text do
      i = i + 1
      if byte(text, at) == 0 then
        entries[i] = byte(text, at + 1) == 0 and ''
        at = at + 2
      else
        local behind, id, body = step(text, at)
        entries[i], ids[i], bodies[i] = sub(text, at, behind - 1), id, sub(text, body, behind - 1)
        at = behind
      end
    end
  end
  local grant = {name = name, entries = entries, ids = ids, bodies = bodies, runs = runs, n = n, left = left}
  grants[name] = grant
  return grant
end

-- A grant and its parts are gone.
local function forget_grant(s, name, runs)
  set(s, 'h' .. name, false)
  for i = 1, #runs do
    if runs[i].number > 0 then set(s, 'q' .. runs[i].number, false) end
  end
end

-- What an "h" field holds of runs.
local function pack_grant(session, n, left, whole, runs)
  local head = pack(GRANT, #session, session, n, left, whole, #runs)
  if #runs == 1 then
    local run = runs[1]
    local text = run.number == 0 and run.text or ''
    return head .. pack(RUN, run.number, run.n, run.class, #text, #run.flow, run.flow) .. text
  end
  local heads, texts = {head}, ''
  for i = 1, #runs do
    local run = runs[i]
    local text = run.number == 0 and run.text or ''
    heads[i + 1] = pack(RUN, run.number, run.n, run.class, #text, #run.flow, run.flow)
    texts = texts .. text
  end
  return table.concat(heads) .. texts
end

-- Writes a grant that was read apart, or drops it when it is empty.
local function save_grant(s, session, grant)
  if not grant.changed then return end
  if grant.left == 0 then
    forget_grant(s, grant.name, grant.runs)
    drop_grant(session, grant.name)
    return
  end
  local at = 0
  for i = 1, #grant.runs do
    local run, texts = grant.runs[i], {}
    for j = 1, run.n do
      local entry = grant.entries[at + j]
      texts[j] = entry == '' and '\0\0' or entry or '\0\1'
    end
    at = at + run.n
    run.text = table.concat(texts)
    if run.number > 0 then set(s, 'q' .. run.number, run.text) end
  end
  set(s, 'h' .. grant.name, pack_grant(session.id, grant.n, grant.left, 0, grant.runs))
end

-- Grant and index of a token; nil when it is not (any more) the session's.
local function place_of(s, session, token, grants)
  local name, i = string.match(token, '^(%x+)-(%d+)$')
  local grant = name and grant_of(s, session.id, name, grants)
  i = tonumber(i or nil)
  if not grant or i < 1 or i > grant.n or grant.entries[i] == '' then return nil end
  return grant, i
end

-- Takes a job off its holder; false when it was cancelled.
local function release(s, session, grant, i)
  local body = grant.bodies[i]
  local live = grant.entries[i] ~= false
  grant.entries[i], grant.changed = '', true
  grant.left = grant.left - 1
  session.held = session.held - 1
  local lane = lane_of(s)
  if not live then
    lane.gone = lane.gone - 1
    return false
  end
  local class, flow = owner_of(body)
  class = class_of(s, class)
  class.leased = class.leased - 1
  released(s, flow, 1)
  return true
end
