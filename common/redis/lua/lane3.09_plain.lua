-- Part 9 of lane3: the plain tick.
-- ---- The plain tick ------------------------------------------------------------------------------
-- The tick of a worker that does few jobs at a time: it gives back one grant, whole, or none, and leases
-- as many jobs as it wants, at most a quantum, from one queue, while only one of its classes has any. It
-- does what the general way does (part 10), without tables that can hold many: those cost more than the
-- commands. Whatever is not so is left to the general way: nil, and nothing is written by then.
local NONE = {}
local plain_tick
do
-- The numbers of the last plain tick, and what they say: those of a worker are alike.
local last, last_ttl, last_want, last_classes = '', 0, 0, 0

-- Lease, wanted jobs and classes of a tick that is plain by its arguments, and its ack, or false.
local function plain_request(argv)
  if argv[4] ~= '' then return nil end
  if argv[6] ~= last then
    local ttl, want, classes = string.match(argv[6] or '', '^[01]|(%d+)|(%d+)|[01]|(%d+)$')
    ttl, want, classes = whole(ttl, MAX_LEASE_MS), whole(want, QUANTUM), whole(classes, MAX_CLASSES)
    if not ttl or not want or not classes or ttl < 1 or want < 1 or classes < 1 then return nil end
    last, last_ttl, last_want, last_classes = argv[6], ttl, want, classes
  end
  local at, ack = 7 + 2 * last_classes, false
  if #argv == at + 3 and argv[at] == '1' then
    ack = {grant = argv[at + 1], indices = argv[at + 2], results = argv[at + 3]}
  elseif #argv ~= at or argv[at] ~= '0' then
    return nil
  end
  if #argv[5] > 64 or not find(argv[5], '^%x+$') then return nil end
  return last_ttl, last_want, last_classes, ack
end

-- The only run of a grant of which all is given back, and its longest result.
local function plain_ack(text, session, ack)
  local owner, n, _, whole_one, count, at = unpack_struct(GRANT, text)
  if owner ~= session or whole_one ~= 1 or count ~= 1 or ack.indices ~= (n == 1 and '1' or '1-' .. n) then
    return nil
  end
  local sizes, longest = sizes_of(ack.results, n)
  if not sizes then return nil end
  return runs_of(text, at, 1)[1], longest
end

-- What the hash will say of n jobs whose entries these are, and the ids' part of their "b" field; nil when
-- one was tried before: an error may be kept of it.
local function plain_ids(text, n, hint)
  local jobs, ids, lengths, at = {}, '', '', 1
  for i = 1, n do
    local id, size, _, attempts, from = unpack_struct(WALK, text, at)
    if attempts > 0 then return nil end
    jobs[2 * i - 1], jobs[2 * i] = id, hint
    ids, lengths = ids .. id, lengths .. char(#id)
    at = from - 5 + size
  end
  return jobs, lengths .. ids
end

-- The class of the tick that has something in the order, and what is first there. Nil when it is not
-- exactly one. `texts` from 5 on: of each class its record, or its number when the caller knows none.
local function plain_front(keys, argv, classes, texts)
  local class, id
  for i = 1, classes do
    local name, guess, text = argv[5 + 2 * i], argv[6 + 2 * i], texts[4 + i]
    if guess == '0' and text or guess ~= '0' and not text then return nil end
    if text then
      local one = read_class(tonumber(guess), text)
      local first = one.name == name and redis.call('ZRANGEBYSCORE', keys[ACT], from_of(one.n),
        behind_of(one.n), 'LIMIT', 0, 1)
      if not first or first[1] and id then return nil end
      if first[1] then class, id = one, first[1] end
    end
  end
  return class, id
end

-- Lane and session of the tick, the class and the queue it leases from, its run to be given back, and
-- where its grant stands in the session; nil when any hinders.
local function plain_begin(keys, argv, now, want, classes, ack)
  local fields = {'lane', 's' .. argv[3], 'h' .. argv[5], 'h' .. (ack and ack.grant or argv[5]), nil}
  for i = 1, classes do
    local guess = argv[6 + 2 * i]
    fields[4 + i] = guess == '0' and 'k' .. argv[5 + 2 * i] or 'c' .. guess
  end
  local texts = redis.call('HMGET', keys[ST], unpack(fields))
  if not texts[1] or not texts[2] or texts[3] or ack and not texts[4] then return nil end
  local lane, session = read_lane(texts[1]), read_session(argv[3], texts[2])
  if lane.gone > 0 or lane.drain == 1 or lane.due ~= 0 and lane.due <= now or session.expiry <= now or
     session.drain == 1 or session.noted == 1 or session.count >= MAX_GRANTS or
     session.held + want > MAX_HELD then
    return nil
  end
  local run, longest, at
  if ack then
    run, longest = plain_ack(texts[4], argv[3], ack)
    at = find(session.grants, ' ' .. ack.grant .. ' ', 1, true)
    if not run or not at or longest > lane.bytes then return nil end
  end
  local class, id = plain_front(keys, argv, classes, texts)
  if not class or run and run.class ~= class.n then return nil end
  return lane, session, class, id, run, at
end

-- The queue to be served, its flow, that of the run, the run's entries, and the "b" field to be forgotten;
-- nil when anything hinders.
local function plain_queue(keys, lane, class, id, run, want, now)
  local name = sub(id, #prefix_of(class.n) + 1)
  local f, forgotten, texts = 'f' .. name, run and lane.ended + run.n >= lane.keep + MAX_BATCH, nil
  if run then
    -- What is not wanted is read as something that is short.
    texts = redis.call('HMGET', keys[ST], 'g' .. id, f, 'f' .. run.flow, 'q' .. run.number,
      forgotten and 'b' .. lane.first or f)
  else
    texts = redis.call('HMGET', keys[ST], 'g' .. id, f)
  end
  if not texts[1] or not texts[2] then return nil end
  local queue, flow = read_queue(id, class.n, name, texts[1], 0, now), read_flow(name, texts[2])
  local chain = queue.chains[1]
  if queue.n < want or queue.chains[2] or chain.dated > 0 or flow.paused == 1 or flow.cap > 0 or
     flow.rate > 0 or flow.parked ~= '' then
    return nil
  end
  if not run then return queue, flow end
  local other = run.flow == name and flow or read_flow(run.flow, texts[3])
  if other.parked ~= '' then return nil end
  return queue, flow, other, run.text or texts[4], forgotten and texts[5]
end

-- Gives the run back: its event, what is remembered of its jobs, and what is forgotten for that. Returns
-- the event's number.
local function plain_settle(keys, ack, now, t, puts, drops)
  local lane, session, class, run, flow = t.lane, t.session, t.class, t.run, t.flow
  local n = run.n
  class.leased, class.done = class.leased - n, class.done + n
  flow.leased = math.max(0, flow.leased - n)
  session.held, session.count = session.held - n, session.count - 1
  drops[1] = 'h' .. ack.grant
  if run.number > 0 then drops[2] = 'q' .. run.number end
  puts[1], puts[2] = 'b' .. lane.next, pack(DONE, now, n) .. t.remembered .. ack.results
  lane.next, lane.ended, lane.live = lane.next + 1, lane.ended + n, lane.live - n
  redis.call('HSET', keys[JOB], unpack(t.jobs))
  if t.forgotten then
    local ids = read_done(t.forgotten)
    redis.call('HDEL', keys[JOB], unpack(ids))
    drops[#drops + 1] = 'b' .. lane.first
    lane.first, lane.ended, lane.forgot = lane.first + 1, lane.ended - #ids, lane.forgot + #ids
  end
  return emit(keys, now, 'ended', 'classes', class.n .. ' ' .. class.name .. '\n', 'e', t.text, 'r',
    ack.results)
end

-- Leases `want` jobs of the queue: their texts and runs.
local function plain_lease(s, queue, flow, class, want)
  local pieces, texts, runs, chain = {}, {}, {}, queue.chains[1]
  take_plain(s, chain, want, pieces)
  if chain.n == 0 and chain.first == chain.next then queue.chains[1] = nil end
  for i = 1, #pieces do
    local piece = pieces[i]
    texts[i] = piece[3]
    runs[i] = {number = piece[1], n = piece[2], class = class.n, flow = flow.name, text = piece[3]}
  end
  class.time, queue.served = queue.pass, s.now
  queue.pass = queue.pass + want * math.floor(COST / flow.weight)
  flow.leased, flow.waiting = flow.leased + want, flow.waiting - want
  class.ready, class.leased = class.ready - want, class.leased + want
  return texts, runs
end

function plain_tick(keys, argv, now)
  local ttl, want, classes, ack = plain_request(argv)
  if not ttl then return nil end
  local lane, session, class, id, run, at = plain_begin(keys, argv, now, want, classes, ack)
  if not lane then return nil end
  local queue, flow, other, text, forgotten = plain_queue(keys, lane, class, id, run, want, now)
  if not queue then return nil end
  local jobs, remembered
  if run then
    jobs, remembered = plain_ids(text, run.n, done_hint(lane))
    if not jobs then return nil end
  end
  local s, puts, drops, seq = {keys = keys, now = now, text = {}, put = {}}, {}, {}, 0
  local texts, runs = plain_lease(s, queue, flow, class, want)
  if run then
    local t = {lane = lane, session = session, class = class, run = run, flow = other, text = text,
               jobs = jobs, remembered = remembered, forgotten = forgotten}
    seq = plain_settle(keys, ack, now, t, puts, drops)
  end
  session.count, session.held = session.count + 1, session.held + want
  extend(s, session, ttl)
  lane.idle, session.idle = lane.idle - session.idle, 0
  -- Made at once of its pieces: it is long.
  local grants, record = session.grants, nil
  if run then
    record = session_head(session) .. sub(grants, 1, at) .. sub(grants, at + #ack.grant + 2) .. argv[5] .. ' '
  else
    record = session_head(session) .. grants .. argv[5] .. ' '
  end
  if other and other ~= flow then s.put['f' .. other.name] = flow_text(other) end
  take_puts(s, puts, drops)
  redis.call('HSET', keys[ST], 'lane', lane_text(lane), 's' .. session.id, record,
    'c' .. class.n, class_text(class), 'f' .. flow.name, flow_text(flow), 'g' .. queue.id, queue_text(queue),
    'h' .. argv[5], pack_grant(session.id, want, want, 1, runs), unpack(puts))
  if drops[1] then redis.call('HDEL', keys[ST], unpack(drops)) end
  redis.call('ZADD', keys[ACT], class.n * BAND + queue.pass, queue.id)
  return {'OK', now, seq, 0, NONE, NONE, texts, {class.n, class.name}, lane.classes, 0}
end

end
