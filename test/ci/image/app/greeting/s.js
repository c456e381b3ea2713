#!/usr/bin/env node
console.log('this is the other s');
