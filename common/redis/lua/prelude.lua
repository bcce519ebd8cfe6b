-- Shared by all libraries; each embedded library is "#!lua name=<domain>" + this file + its own.

-- The clock of every function: Redis TIME in Unix ms, unless a simulation gives its own (> 0).
local function now_of(argv)
  local given = tonumber(argv[1])
  if given and given > 0 then return given end
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- Refuses a caller that does not know the slot's incarnation: a leader that was taken over, or a
-- Redis that came back without its data (then the key is missing and nobody is right).
local function fenced(keys, argv)
  return redis.call('GET', keys[1]) ~= argv[2]
end

-- Appends one event to the slot's stream and returns its sequence number. Fields: k = kind,
-- t = time in ms, then what the caller gives.
local function emit(keys, now, kind, ...)
  local seq = redis.call('INCR', keys[2])
  redis.call('XADD', keys[3], seq .. '-0', 'k', kind, 't', string.format('%d', now), ...)
  return seq
end

local function int(value) return string.format('%d', value) end

-- Whether the arguments behind `from` are of the kinds that `letters` name.
local function fits(letters, argv, from)
  for i = 1, #letters do
    local value = argv[from + i]
    if not value then return false end
    local letter = string.sub(letters, i, i)
    if letter == 'n' and (#value > 17 or not string.match(value, '^%-?%d+$')) then return false end
    if letter == 'p' and (#value > 9 or not string.match(value, '^[1-9]%d*$')) then return false end
    if letter == 't' and string.find(value, '|', 1, true) then return false end
  end
  return true
end

local function shaped(shape, keys, argv)
  local n = 0
  if shape.each then
    n = (#argv - #shape.args) / #shape.each
    if n ~= math.floor(n) or n < shape.least or n > 1000 then return false end
  elseif #argv ~= #shape.args then
    return false
  end
  if #keys ~= shape.keys + n * (shape.each_key or 0) or not fits(shape.args, argv, 0) then return false end
  for i = 1, n do
    if not fits(shape.each, argv, #shape.args + (i - 1) * #shape.each) then return false end
  end
  return true
end

-- Registers a function that runs only on arguments of its shape; others get an error and change
-- nothing, for an error half way through would: Redis takes no write back.
-- `shape`: keys = how many; args = a letter an argument (s: any text, t: text that can be packed
-- between bars, n: an integer of at most 16 digits, p: a positive one of at most 9); each = letters
-- of one element of a list behind them, with each_key more keys an element and between least and
-- 1,000 elements; flags.
local function define(name, shape, callback)
  redis.register_function{function_name = name, flags = shape.flags or {}, callback = function(keys, argv)
    if not shaped(shape, keys, argv) then return redis.error_reply('ARGUMENT ' .. name .. ': wrong arguments') end
    return callback(keys, argv)
  end}
end
